"""Queries: answered from the store, once it is certain that this leader still led when they came.

Source: D. Ongaro (2014), §6.4 (rounds, shared by all queries that wait), §6.4.1 (leases).
"""

from libelli.core.effects import Read
from libelli.core.errors import Code
from libelli.core.ids import NodeId, Waiter
from libelli.protocols.raft import quorum
from libelli.protocols.raft.messages import Heartbeat, HeartbeatReply
from libelli.protocols.raft.options import ReadMode
from libelli.protocols.raft.replication import show_agreement
from libelli.protocols.raft.state import Leading, State


def on_query(state: State, leading: Leading, waiter: Waiter) -> None:
    """Queues a query for the next round."""
    limit = state.options.queries
    if leading.rounds.waiting >= limit:
        state.reply(waiter, Code.OVERLOADED, f"{limit} queries wait already: try again later")
        return
    leading.rounds.ask(waiter)


def serve_queries(state: State, leading: Leading) -> None:
    """Answers what waits under a lease, or begins a round for it.

    §6.4, step 1: not before an entry of this term is committed, since until then older leaders may have
    committed more than this one knows of.
    """
    rounds = leading.rounds
    if not rounds.queued or state.commit < leading.first_index:
        return
    if holds_lease(state, leading):
        state.effects.append(Read(rounds.take_queued(), state.commit))
    elif rounds.pending < state.options.read_rounds:
        begin_round(state, leading)


def begin_round(state: State, leading: Leading) -> None:
    """Sends heartbeats that are a question as well: do I still lead? See §6.4, steps 2 and 3."""
    number = leading.rounds.begin(
        index=state.commit, now_ms=state.now_ms, takes_queries=state.commit >= leading.first_index
    )
    heartbeat = Heartbeat(state.term, state.commit, number)
    for node, progress in leading.progress.items():
        state.send(node, heartbeat)
        progress.commit_told = state.commit
    confirm_rounds(state, leading)  # a lone voter is its own majority


def on_heartbeat_reply(state: State, leading: Leading, source: NodeId, message: HeartbeatReply) -> None:
    """A follower was still ours when it heard `round`; what it left unanswered for long was lost."""
    progress = leading.progress.get(source)
    if progress is None:
        return
    timing = state.timing
    progress.heard(
        state.tick,
        probe_ticks=timing.heartbeat_ticks,
        lost_ticks=timing.election_max_ticks,
        snapshot_ticks=timing.election_max_ticks,
    )
    if message.is_unsure:
        show_agreement(state, source, progress)
    if message.round > progress.round:
        progress.round = message.round
        confirm_rounds(state, leading)


def confirm_rounds(state: State, leading: Leading) -> None:
    """Answers the queries of all rounds that a majority has answered (§6.4, step 4 is the store's)."""
    rounds = leading.rounds
    progress = leading.progress
    answered = [rounds.latest if node == state.node else progress[node].round for node in state.voters]
    for confirmed in rounds.confirm(quorum.agreed(answered)):
        state.effects.append(Read(confirmed.waiters, confirmed.index))


def holds_lease(state: State, leading: Leading) -> bool:
    """Whether nobody else can lead yet, by our clock and the bound on its drift (§6.4.1)."""
    began_ms = leading.rounds.began_ms
    if state.options.read_mode is not ReadMode.LEASE or began_ms is None or not leading.may_lease:
        return False
    return state.now_ms < began_ms + state.timing.lease_ms


def end_lease(leading: Leading) -> None:
    """The majority that confirmed the lease may not be one of the next configuration: begins anew."""
    leading.rounds.began_ms = None
