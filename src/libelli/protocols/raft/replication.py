"""How a leader replicates its log, and learns what is committed.

Source: D. Ongaro (2014), §3.5 (replication), §3.6.2 (commitment), §10.2.1 (its own disk in parallel), §10.2.2
    (batching and pipelining).
"""

from libelli.core.effects import Send
from libelli.core.errors import InvariantError
from libelli.core.ids import Index, NodeId
from libelli.protocols.raft import quorum
from libelli.protocols.raft.messages import AppendAccepted, AppendEntries, AppendRejected, SnapshotOffer
from libelli.protocols.raft.progress import Progress, ProgressState
from libelli.protocols.raft.state import Leading, State


def advance_commit(state: State, leading: Leading) -> None:
    """Commits what a majority has on disk, if it is of this term (§3.6.2).

    An entry of an older term on a majority may still be replaced (figure 3.7); it becomes committed together with
    one of this term. The leader counts itself only up to what its own disk has confirmed (§10.2.1).
    """
    log = state.log
    if state.commit >= log.last_index:
        return
    progress = leading.progress
    own = state.node
    durable = state.durability.index
    index = quorum.agreed([durable if node == own else progress[node].match for node in state.voters])
    if index > state.commit and log.term_at(index) == state.term:
        state.commit = Index(index)
        state.matched = Index(index)


def on_append_accepted(state: State, leading: Leading, source: NodeId, message: AppendAccepted) -> None:
    """A follower's disk holds our log up to `match`."""
    progress = leading.progress.get(source)
    if progress is None:
        return
    if message.match > state.log.last_index:
        raise InvariantError(
            f"node {source} claims to match up to {message.match}; the leader's log ends at {state.log.last_index}"
        )
    progress.heard_tick = state.tick
    progress.accepted(message.match)


def on_append_rejected(state: State, leading: Leading, source: NodeId, message: AppendRejected) -> None:
    """The logs part earlier: tries again where they may agree, one message for each term that conflicts (§3.5)."""
    progress = leading.progress.get(source)
    if progress is None:
        return
    progress.heard_tick = state.tick
    agree_index = message.hint_index
    if agree_index > state.log.start_index:
        agree_index = state.log.last_with_term_up_to(message.hint_term, index=agree_index)
    progress.rejected(message.rejected_index, agree_index=agree_index)


def send_entries(state: State, leading: Leading) -> None:
    """Sends each follower what it lacks, as far as its window allows (§10.2.2).

    Followers that are equally far get the same message object, so the host encodes it once.
    """
    last = state.log.last_index
    built: dict[tuple[int, int], tuple[AppendEntries, Index, int]] = {}
    for node, progress in leading.progress.items():
        while progress.next_index <= last and progress.may_send:
            if progress.next_index <= state.log.start_index:
                offer_snapshot(state, node, progress)
                break
            if not send_next(state, node, progress, built):
                break


def send_next(
    state: State,
    node: NodeId,
    progress: Progress,
    built: dict[tuple[int, int], tuple[AppendEntries, Index, int]],
) -> bool:
    """Sends one AppendEntries; returns whether the data was at hand."""
    first = progress.next_index
    is_probe = progress.state is ProgressState.PROBE
    size_max = state.options.probe_bytes if is_probe else state.options.message_bytes
    ready = built.get((first, size_max))
    if ready is None:
        ready = build(state, first, size_max)
        if ready is None:
            state.loads.want(node, first=first, last=state.log.last_index)
            return False
        built[first, size_max] = ready
    message, last, size = ready
    state.effects.append(Send(node, message))
    progress.sent(last, size=size, tick=state.tick)
    progress.commit_told = state.commit
    return True


def build(state: State, first: Index, size_max: int) -> tuple[AppendEntries, Index, int] | None:
    """Returns the message with the entries from `first` on, its last index and its size; None: not in memory."""
    log = state.log
    entries = log.read(first, last=log.last_index, size_max=size_max)
    if entries is None:
        return None
    previous = Index(first - 1)
    last = Index(previous + len(entries))
    message = AppendEntries(state.term, previous, log.term_at(previous), state.commit, entries)
    return message, last, log.size(after=previous, last=last)


def show_agreement(state: State, node: NodeId, progress: Progress) -> None:
    """Asks a follower that was restarted how far its log is ours; otherwise it waits for the next entry.

    What it had confirmed is forgotten: if its disk damaged the last block meanwhile, it has less now.
    """
    if progress.state is ProgressState.REPLICATE and not progress.inflight_messages:
        progress.begin_again(state.log.last_index)
    previous = Index(progress.next_index - 1)
    is_idle = progress.state is ProgressState.PROBE and not progress.is_paused
    if is_idle and previous >= state.log.start_index:
        state.send(node, AppendEntries(state.term, previous, state.log.term_at(previous), state.commit, ()))
        progress.sent(previous, size=0, tick=state.tick)
        progress.commit_told = state.commit


def offer_snapshot(state: State, node: NodeId, progress: Progress) -> None:
    """What the follower needs is gone from the log: it shall fetch the store's state (§5)."""
    log = state.log
    progress.needs_snapshot(log.start_index, tick=state.tick)
    state.send(node, SnapshotOffer(state.term, log.start_index, log.start_term))
