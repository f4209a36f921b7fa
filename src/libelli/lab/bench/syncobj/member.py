"""One PySyncObj member: a process that ticks, and does what it is asked over its standard input.

::

    python -m libelli.lab.bench.syncobj.member  <settings as JSON>
    one line in: an Ask        one line out: the answer

PySyncObj is a library: commands are called inside the process that holds the object. So the member that leads is
its own generator, which spares it the network between client and server that every other target pays for.
The member owns the tick loop (`autoTick` off), which its documentation offers and which saves a thread.
"""

import select
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from pysyncobj import FAIL_REASON, SyncObj, SyncObjConf, replicated

from libelli.lab.bench.load import Closed, Load, Measured
from libelli.lab.bench.loops import ClosedLoop, OpenLoop, Window
from libelli.lab.bench.workload import VALUES_COUNT, Workload

LOAD_KEYS_EACH = 500
LOAD_IN_FLIGHT = 16
REST_SECONDS = 0.02
"""How long an idle member waits for a message before it looks at its standard input."""


class Settings(msgspec.Struct, frozen=True):
    """How a member runs.

    Args:
        port: its own; `partners` are those of the others.
        directory: for its journal and dump.
        append_seconds: how often a leader sends what has gathered (PySyncObj's ``appendEntriesPeriod``).
        batch: whether commands gather at all (``appendEntriesUseBatch``).
    """

    port: int
    partners: list[int]
    directory: str
    append_seconds: float
    batch: bool


class StatusAsk(msgspec.Struct, frozen=True, tag="status"):
    """Who are you, and how many puts have you applied?"""


class LoadAsk(msgspec.Struct, frozen=True, tag="load"):
    """Write all keys of a workload."""

    workload: Workload


class CellAsk(msgspec.Struct, frozen=True, tag="cell"):
    """Run one cell."""

    load: Load
    begin_ns: int


Ask = StatusAsk | LoadAsk | CellAsk


class Status(msgspec.Struct, frozen=True):
    """Whether this member leads, and how many puts it has applied."""

    leads: bool
    applied: int


class Store(SyncObj):
    """The replicated dictionary."""

    def __init__(self, settings: Settings) -> None:
        directory = Path(settings.directory)
        super().__init__(
            f"127.0.0.1:{settings.port}",
            [f"127.0.0.1:{port}" for port in settings.partners],
            SyncObjConf(
                autoTick=False,
                appendEntriesUseBatch=settings.batch,
                appendEntriesPeriod=settings.append_seconds,
                journalFile=str(directory / "journal"),
                fullDumpFile=str(directory / "dump"),
            ),
        )
        self.pairs: dict[bytes, bytes] = {}
        self.applied = 0

    @replicated
    def put(self, key: bytes, value: bytes) -> None:
        """Writes one key."""
        self.pairs[key] = value
        self.applied += 1

    @replicated
    def put_all(self, pairs: list[tuple[bytes, bytes]]) -> None:
        """Writes many keys with one command."""
        self.pairs.update(pairs)
        self.applied += len(pairs)

    @replicated
    def get(self, key: bytes) -> bytes:
        """Reads one key through the log, which is the library's only linearizable read."""
        return self.pairs[key]


class Member:
    """Ticks a store, and answers asks."""

    def __init__(self, settings: Settings) -> None:
        self._store = Store(settings)
        self._wait_seconds = min(REST_SECONDS, settings.append_seconds / 4)

    def run(self) -> None:
        """Returns when standard input ends: then nobody needs us."""
        while True:
            self._store.doTick(REST_SECONDS)
            if not select.select([sys.stdin], [], [], 0)[0]:
                continue
            line = sys.stdin.buffer.readline()
            if not line:
                return
            answer = self._answer(msgspec.json.decode(line, type=Ask))
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
            sys.stdout.buffer.flush()

    def _answer(self, ask: Ask) -> Status | Measured:
        match ask:
            case StatusAsk():
                return self._status()
            case LoadAsk(workload):
                return self._load(workload)
            case CellAsk(load, begin_ns):
                return self._cell(load, begin_ns)

    def _status(self) -> Status:
        return Status(leads=self._store._isLeader(), applied=self._store.applied)  # noqa: SLF001 - documented so

    def _load(self, workload: Workload) -> Status:
        store, values = self._store, workload.values()
        under_way = 0

        def on_answer(_: object, reason: int) -> None:
            nonlocal under_way
            under_way -= 1
            if reason != FAIL_REASON.SUCCESS:
                raise RuntimeError(f"loading failed: PySyncObj's FAIL_REASON {reason}")

        for first in range(0, workload.key_count, LOAD_KEYS_EACH):
            behind = min(first + LOAD_KEYS_EACH, workload.key_count)
            pairs = [(workload.key(index), values[index % VALUES_COUNT]) for index in range(first, behind)]
            under_way += 1
            store.put_all(pairs, callback=on_answer)
            while under_way >= LOAD_IN_FLIGHT:
                store.doTick(self._wait_seconds)
        while under_way:
            store.doTick(self._wait_seconds)
        return self._status()

    def _cell(self, load: Load, begin_ns: int) -> Measured:
        window = Window.of(load, begin_ns)
        tally = self._loop(load, window)
        self._tick_until(begin_ns, lambda: None)
        self._tick_until(window.from_ns, tally.turn)
        before = time.process_time()
        self._tick_until(window.until_ns, tally.turn)
        own_cpu_seconds = time.process_time() - before
        deadline_ns = window.until_ns + round(load.drain_seconds * 1e9)
        while tally.outstanding and time.monotonic_ns() < deadline_ns:
            self._store.doTick(self._wait_seconds)
        measured = tally.measured()
        measured.generator_cpu_seconds = own_cpu_seconds
        return measured

    def _tick_until(self, when_ns: int, turn: Callable[[], None]) -> None:
        while time.monotonic_ns() < when_ns:
            turn()
            self._store.doTick(self._wait_seconds)

    def _loop(self, load: Load, window: Window) -> ClosedLoop | OpenLoop:
        submit = self._put_with(load.workload) if load.operation == "put" else self._get_with(load.workload)
        pick, clock = load.workload.picker(0), time.monotonic_ns

        def submit_all(started_ns: int, keys: Sequence[int]) -> None:
            def on_answer(_: object, reason: int) -> None:
                if reason == FAIL_REASON.SUCCESS:
                    tally.completed(started_ns)
                else:
                    tally.failed(started_ns, f"PySyncObj's FAIL_REASON {reason}")

            for index in keys:
                submit(index, on_answer)

        tally: ClosedLoop | OpenLoop
        if isinstance(load.pace, Closed):
            tally = ClosedLoop(load.pace, window=window, clock=clock, submit=submit_all, pick=pick, wake=lambda: None)
        else:
            tally = OpenLoop(load.pace, window=window, clock=clock, submit=submit_all, pick=pick)
        return tally

    def _put_with(self, workload: Workload) -> Callable[[int, Any], None]:
        put, key_of, values = self._store.put, workload.key, workload.values()
        return lambda index, on_answer: put(key_of(index), values[index % VALUES_COUNT], callback=on_answer)

    def _get_with(self, workload: Workload) -> Callable[[int, Any], None]:
        get, key_of = self._store.get, workload.key
        return lambda index, on_answer: get(key_of(index), callback=on_answer)


def main() -> None:
    """Runs one member until its standard input ends."""
    Member(msgspec.json.decode(sys.argv[1], type=Settings)).run()


if __name__ == "__main__":
    main()
