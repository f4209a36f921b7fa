"""The loop around a node: what came is queued, one step a turn handles all of it, its effects are carried out.

::

    sockets ─► receive_peer, receive_client ─┐
    threads ─► written, loaded, flushed ─────┼─► wake ─► turn: node.step(now) ─► effects, in order
    timer ───────────────────────────────────┘                                    │
    log thread ◄── WriteLog, ReadLog      flush thread ◄── FlushCheckpoint, …     │
    sockets    ◄── SendPeer, SendClient   timer        ◄── WakeAt ◄───────────────┘

The loop reads all sockets that have something before it takes a turn, so the busier the node, the more one step
handles: nobody has to choose a batch size. Nothing here waits for a disk.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from msgspec import Struct

from libelli.core.errors import InvariantError, LibelliError, StorageError
from libelli.core.ids import NO_NODE, GroupId, NodeId
from libelli.host.node import Node
from libelli.host.world import (
    AbandonInstall,
    CloseClient,
    DialPeers,
    FinishInstall,
    FlushCheckpoint,
    InstallChunk,
    ReadLog,
    SendClient,
    SendPeer,
    Stop,
    Trace,
    WakeAt,
    WorldEffect,
    WriteLog,
)
from libelli.live.certificates import EXPIRY_WARNING_DAYS, CertificateWatch
from libelli.live.clients import Clients
from libelli.live.flusher import ChunkInstalled, FlushCompletion, Flushed, Installed, InstallFailed
from libelli.live.logs import fields
from libelli.live.peers import Peers
from libelli.live.storage import Storage
from libelli.live.writer import Back, Broken, Completion, Written

EXIT_OK = 0
EXIT_STORAGE = 6
EXIT_DEFECT = 70
SLOW_TURN_MS = 100
"""The longest turn of a second is logged if it took longer: peers hear nothing meanwhile, and soon take a silent node
for a dead one."""
HOUSEKEEPING_S = 1.0
"""How often certificates and disks are looked at."""

_log = logging.getLogger(__name__)


class Ending(Struct, frozen=True):
    """Why a process ends; `reason` is for people, empty when it was asked to."""

    code: int
    reason: str = ""


class Server:
    """Runs a node; made and used in one event loop.

    Args:
        node: fresh, nobody has stepped it.
        storage: opened, not started.
        certificates: None: plain text.
        random: for jitter and salts.
    """

    def __init__(self, node: Node, *, storage: Storage, certificates: CertificateWatch | None, random: Random) -> None:
        self.node = node
        self.storage = storage
        self.certificates = certificates
        self.clients = Clients(node, wake=self.wake, certificates=certificates)
        self.peers = Peers(
            node,
            identity=node.identity,
            wake=self.wake,
            certificates=certificates,
            random=random,
            founding=storage.founding_hash,
        )
        self.leader_changes = 0
        self._longest_turn_ms = 0
        self._leaders: dict[GroupId, NodeId] = {}
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[Ending] = self._loop.create_future()
        """Done when the process must end."""
        self.handed_over: asyncio.Future[None] = self._loop.create_future()
        """Done when the node, asked to stop, leads nothing any more."""
        self.is_stopping = False
        self._is_woken = True  # until `start`: a step before it would ask for threads that are not there
        self._wake_ms = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0
        self._random = random
        self._housekeeping: asyncio.TimerHandle | None = None
        self._carry_out: dict[type[Any], Callable[[Any], None]] = {
            WriteLog: storage.submit_log,
            ReadLog: storage.submit_log,
            FlushCheckpoint: storage.submit_flush,
            InstallChunk: storage.submit_flush,
            FinishInstall: storage.submit_flush,
            AbandonInstall: storage.submit_flush,
            SendPeer: lambda effect: self.peers.send(effect.node, effect.body),
            SendClient: lambda effect: self.clients.send(effect.connection, effect.body),
            CloseClient: lambda effect: self.clients.close(effect.connection, effect.reason),
            DialPeers: lambda effect: self.peers.keep(effect.peers),
            WakeAt: self._set_wake,
            Stop: lambda effect: self.end(Ending(EXIT_STORAGE, effect.reason)),
            Trace: self._trace,
        }

    # ── life ──────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Starts the threads and takes the first turn."""
        self.storage.start(random=self._random, deliver=self._deliver)
        self._keep_house()
        self._is_woken = False
        self.wake()

    def stop(self) -> None:
        """Takes no new calls, and hands leadership over."""
        self.is_stopping = True
        self.node.stopping()
        self.wake()

    def end(self, ending: Ending) -> None:
        """Asks for the end of the process; the first reason counts."""
        if not self.ended.done():
            self.ended.set_result(ending)

    def close(self, reason: str) -> None:
        """Takes no more turns, ends all streams after what is queued, and writes what waits for the disk."""
        self.end(Ending(EXIT_OK))
        for handle in (self._timer, self._housekeeping):
            if handle is not None:
                handle.cancel()
        self.peers.close_all(reason)
        self.clients.close_all(reason)
        self.storage.stop()

    # ── turns ─────────────────────────────────────────────────────────────────────────────────────────────

    def wake(self) -> None:
        """Asks for a turn once all sockets that have something are read."""
        if not self._is_woken:
            self._is_woken = True
            self._loop.call_soon(self._turn)

    @staticmethod
    def now_ms() -> int:
        """Returns the milliseconds of a clock that never goes back."""
        return time.monotonic_ns() // 1_000_000

    def _turn(self) -> None:
        self._is_woken = False
        if self.ended.done():
            return
        now_ms = self.now_ms()
        try:
            effects = self.node.step(now_ms)
            self._carry_out_all(effects)
        except LibelliError as error:
            self._break(error)
            return
        except Exception as error:  # noqa: BLE001 - nothing is swallowed: the process ends with it
            _log.exception("a step failed")
            self._break(error)
            return
        self._longest_turn_ms = max(self._longest_turn_ms, self.now_ms() - now_ms)
        self._arm(now_ms)
        if self.is_stopping and not self.handed_over.done() and not self._has_office():
            self.handed_over.set_result(None)

    def _has_office(self) -> bool:
        """Whether others could not go on without a new election if this node ended now."""
        groups = self.node.status().groups
        return any(group.role == "leader" and len(group.voters) > 1 for group in groups)

    def _carry_out_all(self, effects: Sequence[WorldEffect]) -> None:
        carry_out = self._carry_out
        for effect in effects:
            carry_out[type(effect)](effect)

    def _set_wake(self, effect: WakeAt) -> None:
        self._wake_ms = effect.at_ms

    def _arm(self, now_ms: int) -> None:
        """Makes sure of a turn at `_wake_ms`; a timer that fires too early only costs one look."""
        if self._wake_ms <= now_ms:
            self.wake()
        elif self._timer is None or self._timer_ms > self._wake_ms:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_ms = self._wake_ms
            self._timer = self._loop.call_later((self._wake_ms - now_ms) / 1000, self._timer_fired)

    def _timer_fired(self) -> None:
        self._timer = None
        now_ms = self.now_ms()
        if now_ms >= self._wake_ms:
            self.wake()
        else:
            self._arm(now_ms)

    # ── what the threads bring ────────────────────────────────────────────────────────────────────────────

    def _deliver(self, batch: Sequence[Completion | FlushCompletion]) -> None:
        """Called in the threads."""
        try:
            self._loop.call_soon_threadsafe(partial(self._take_all, batch))
        except RuntimeError:
            if not self._loop.is_closed():
                raise

    def _take_all(self, batch: Sequence[Completion | FlushCompletion]) -> None:
        try:
            for completion in batch:
                self._take(completion)
        except Exception as error:  # noqa: BLE001 - nothing is swallowed: the process ends with it
            if not isinstance(error, LibelliError):
                _log.exception("what a thread has done cannot be taken")
            self._break(error)
            return
        self.wake()

    def _take(self, completion: Completion | FlushCompletion) -> None:
        node = self.node
        match completion:
            case Written(ticket):
                self.storage.note_promise()
                node.written(ticket)
            case Back(group, first_index, entries):
                node.loaded(group, first_index, entries)
            case Flushed(group):
                node.flushed(group)
            case ChunkInstalled(group):
                node.chunk_installed(group)
            case Installed(group):
                node.installed(group)
            case InstallFailed(group, reason):
                node.install_failed(group, reason)
            case Broken(error):
                self._break(error)

    def _break(self, error: BaseException) -> None:
        """Ends the process: what the node holds in memory is not to be trusted any more."""
        text = str(error) or type(error).__name__
        if isinstance(error, StorageError):
            self.end(Ending(EXIT_STORAGE, text))
        elif isinstance(error, InvariantError):
            self.end(Ending(EXIT_DEFECT, f"an invariant is broken: {text}; keep the data folder and report this"))
        else:
            self.end(Ending(EXIT_DEFECT, f"{type(error).__name__}: {text}; report this with the lines before it"))

    # ── looking after things ──────────────────────────────────────────────────────────────────────────────

    def _keep_house(self) -> None:
        self._housekeeping = self._loop.call_later(HOUSEKEEPING_S, self._keep_house)
        if self._longest_turn_ms > SLOW_TURN_MS:
            _log.warning("slow turn", extra=fields(took_ms=self._longest_turn_ms))
        self._longest_turn_ms = 0
        self.node.alarm("disk", self.storage.missing_room or None)
        certificates = self.certificates
        if certificates is None:
            return
        if certificates.reload_if_changed():
            self.peers.close_revoked()
            self.clients.close_revoked()
        days_left = certificates.days_left()
        late = f"the certificate ends in {days_left:.1f} days: renew it (libelli ca renew {self.node.identity.name})"
        self.node.alarm("expiry", late if days_left < EXPIRY_WARNING_DAYS else None)
        self.node.alarm("certificates", certificates.problem)

    def _trace(self, effect: Trace) -> None:
        if effect.kind == "raft":
            self._note_leader(effect)
        elif effect.kind == "replicas.differ":
            _log.error("replicas differ", extra=fields(group=effect.group, **effect.fields))
        else:
            _log.info(effect.kind, extra=fields(group=effect.group, **effect.fields))

    def _note_leader(self, effect: Trace) -> None:
        leader = effect.fields["leader"]
        if isinstance(leader, int) and leader != NO_NODE and self._leaders.get(effect.group) != leader:
            self._leaders[effect.group] = NodeId(leader)
            self.leader_changes += 1
            _log.info("leader is known", extra=fields(group=effect.group, **effect.fields))
        else:
            _log.debug("raft", extra=fields(group=effect.group, **effect.fields))
