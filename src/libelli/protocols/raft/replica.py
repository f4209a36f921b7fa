"""A replica of one Raft group: an event in, effects out.

::

              Message ─┐                              ┌─► Send, Persist(then=Send…)
    Requests, Timer ───┤   one rule for the event,    ├─► Commit, Read, Reply
    Persisted, Applied ┼─► then the rules that hold ──┼─► SetTimer("tick")
    Loaded, …         ─┘   whatever the event         └─► Load, InstallSnapshot, Observe

The class only dispatches. The rules are functions over `State`, one module a theme; README.md lists them beside
the sections of the dissertation.

Source: D. Ongaro, "Consensus: Bridging Theory and Practice" (Stanford, 2014).
"""

from typing import TYPE_CHECKING, Any

from libelli.core.effects import Effect, Observe, SetTimer
from libelli.core.entries import HardState, Recovered
from libelli.core.errors import InvariantError
from libelli.core.events import (
    Again,
    Applied,
    Checkpointed,
    Event,
    Loaded,
    Message,
    Persisted,
    Requests,
    SnapshotInstalled,
    Started,
    Timer,
)
from libelli.core.ids import NO_NODE, Index, NodeId, Term
from libelli.core.members import Configuration
from libelli.protocols.raft import (
    applying,
    election,
    following,
    invariants,
    office,
    reads,
    replication,
    requests,
    snapshots,
    transfer,
)
from libelli.protocols.raft.messages import (
    AppendAccepted,
    AppendEntries,
    AppendRejected,
    Heartbeat,
    HeartbeatReply,
    PreVote,
    PreVoteReply,
    RequestVote,
    SnapshotOffer,
    TimeoutNow,
    VoteDenied,
    VoteGranted,
)
from libelli.protocols.raft.options import Options
from libelli.protocols.raft.recovery import recover_log
from libelli.protocols.raft.roles import is_current
from libelli.protocols.raft.state import Role, State
from libelli.protocols.raft.status import PeerStatus, Status
from libelli.protocols.raft.timing import Timing

if TYPE_CHECKING:
    import random as dice

TICK = "tick"
"""The one timer."""


class Raft:
    """One replica.

    Args:
        node: whose replica it is.
        timing: the same for the whole group.
        random: draws election timeouts; nothing else here is random.
        recovered: what was found at the start.
        options: sizes and windows; each replica may have its own.

    Raises:
        InvariantError: what was found cannot be true.
    """

    __slots__ = ("_observed", "_restart", "_state")

    def __init__(
        self,
        node: NodeId,
        *,
        timing: Timing,
        random: "dice.Random",
        recovered: Recovered,
        options: Options = Options(),  # noqa: B008 - frozen
    ) -> None:
        log, configurations, self._restart = recover_log(recovered, options)
        hard_state = recovered.hard_state
        if hard_state.term < log.last_term:
            hard_state = HardState(log.last_term)  # the store was durable before the log; nothing was promised since
        self._state = State(
            node,
            timing=timing,
            options=options,
            random=random,
            hard_state=hard_state,
            log=log,
            configurations=configurations,
            applied=recovered.applied,
        )
        self._observed: tuple[Role, Term, NodeId] | None = None

    def step(self, event: Event) -> list[Effect]:
        """Returns what the world must do because of `event`.

        Raises:
            InvariantError: a promise is broken; the replica must stop and is not usable any more.
        """
        state = self._state
        effects: list[Effect] = []
        state.effects = effects
        state.now_ms = event.now_ms
        match event:
            case Message():
                self._on_message(event.source, event.payload)
            case Persisted():
                state.durability.complete(event.ticket)
                election.on_own_vote_durable(state, event.ticket)
            case Requests():
                requests.on_requests(state, event.batch)
            case Applied():
                applying.on_applied(state, event.index)
            case Timer():
                self._on_timer(event.name)
            case Checkpointed():
                applying.on_checkpointed(state, event.index)
            case Loaded():
                applying.on_loaded(state, event.first_index, event.entries)
            case SnapshotInstalled():
                snapshots.on_snapshot_installed(state, event)
            case Started():
                self._on_started()
            case Again():
                raise InvariantError(f"work called {event.name!r} was never asked for")
        self._follow_rules()
        return effects

    def _on_message(self, source: NodeId, message: Any) -> None:
        state = self._state
        match message:
            case AppendEntries():
                following.on_append_entries(state, source, message)
            case AppendAccepted():
                if is_current(state, message.term) and state.leading is not None:
                    replication.on_append_accepted(state, state.leading, source, message)
            case AppendRejected():
                if is_current(state, message.term) and state.leading is not None:
                    replication.on_append_rejected(state, state.leading, source, message)
            case Heartbeat():
                following.on_heartbeat(state, source, message)
            case HeartbeatReply():
                if is_current(state, message.term) and state.leading is not None:
                    reads.on_heartbeat_reply(state, state.leading, source, message)
            case PreVote():
                election.on_pre_vote(state, source, message)
            case PreVoteReply():
                election.on_pre_vote_reply(state, source, message)
            case RequestVote():
                election.on_request_vote(state, source, message)
            case VoteGranted():
                election.on_vote_granted(state, source, message)
            case VoteDenied():
                election.on_vote_denied(state, source, message)
            case SnapshotOffer():
                snapshots.on_snapshot_offer(state, source, message)
            case TimeoutNow():
                election.on_timeout_now(state, source, message)
            case _:
                raise InvariantError(f"{type(message).__name__} is no message of Raft")

    def _on_started(self) -> None:
        state = self._state
        if self._restart is not None:
            state.records.append(self._restart)
        state.effects.append(SetTimer(TICK, state.timing.tick_ms))

    def _on_timer(self, name: str) -> None:
        if name != TICK:
            raise InvariantError(f"the timer {name!r} was never set")
        state = self._state
        state.tick += 1
        state.effects.append(SetTimer(TICK, state.timing.tick_ms))
        if state.leading is None:
            election.on_tick(state)
        else:
            office.on_tick(state, state.leading)

    def _follow_rules(self) -> None:
        """What holds whatever the event: the *rules for servers* of figure 3.1."""
        state = self._state
        leading = state.leading
        if leading is not None:
            replication.advance_commit(state, leading)
        applying.hand_over(state)
        if leading is not None:
            reads.serve_queries(state, leading)
            replication.send_entries(state, leading)
            transfer.tell_target(state, leading)
            office.leave_if_removed(state, leading)
        elif state.handover is not None:
            transfer.conclude(state)
        snapshots.begin_install(state)
        applying.load_wanted(state)
        state.flush()
        self._observe()

    def _observe(self) -> None:
        state = self._state
        seen = (state.role, state.term, state.leader)
        if seen != self._observed:
            self._observed = seen
            fields = {
                "role": self.role,
                "term": state.term,
                "leader": state.leader,
                "commit": state.commit,
                "last_index": state.log.last_index,
            }
            state.effects.append(Observe("raft", fields))

    def check(self) -> None:
        """Looks whether everything that must hold between two steps does.

        Raises:
            InvariantError: it does not; the replica must stop.
        """
        invariants.check(self._state)

    @property
    def role(self) -> str:
        """`leader`, `candidate`, `pre-candidate`, `follower` or `learner` (a follower without a vote)."""
        state = self._state
        if state.role is Role.FOLLOWER and state.node not in state.voters:
            return "learner"
        return state.role.value

    @property
    def term(self) -> Term:
        """The current term."""
        return self._state.term

    @property
    def leader(self) -> NodeId:
        """Who leads it (0: unknown)."""
        return self._state.leader

    @property
    def commit(self) -> Index:
        """Entries up to here are committed, as far as it knows."""
        return self._state.commit

    @property
    def configuration(self) -> Configuration:
        """The configuration in force."""
        return self._state.configuration

    @property
    def last_index(self) -> Index:
        """The last index in its log."""
        return self._state.log.last_index

    def status(self) -> Status:
        """Returns what people and metrics want to know."""
        state = self._state
        log, leading = state.log, state.leading
        return Status(
            node=state.node,
            role=self.role,
            term=state.term,
            leader=state.leader,
            voted_for=state.voted_for,
            commit=state.commit,
            applied=state.applied,
            durable_index=state.durability.index,
            first_index=Index(log.start_index + 1),
            last_index=log.last_index,
            last_term=log.last_term,
            configuration=state.configuration,
            configuration_index=state.configurations.latest_index,
            is_installing=state.installation is not None,
            transfer_target=leading.transfer.target if leading and leading.transfer else NO_NODE,
            queries_waiting=leading.rounds.waiting if leading else 0,
            peers=self._peers(),
        )

    def _peers(self) -> tuple[PeerStatus, ...]:
        state = self._state
        if state.leading is None:
            return ()
        timeout_ticks = state.timing.election_max_ticks
        return tuple(
            PeerStatus(
                node=node,
                match=progress.match,
                next_index=progress.next_index,
                state=progress.state.value,
                inflight_messages=progress.inflight_messages,
                inflight_bytes=progress.inflight_bytes,
                is_heard=state.tick - progress.heard_tick <= timeout_ticks,
            )
            for node, progress in state.leading.progress.items()
        )
