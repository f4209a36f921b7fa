"""From the log to the store and back: what is committed is applied, what is applied may be forgotten.

::

    log      start ······· applied ─── handed ─── commit ─── last
                 ▲            │  one Commit │
                 │            │  under way  │
             Checkpointed   Applied      (more only after Applied)

Source: D. Ongaro (2014), figure 3.1, *rules for all servers* (apply); chapter 5 (compaction).
Differs: the store is durable by itself, so a snapshot is its state at any time and not a file beside the log.
"""

from libelli.core.effects import Commit, Load
from libelli.core.entries import Entry, LogStart
from libelli.core.errors import InvariantError
from libelli.core.ids import NOBODY, Index, Waiter
from libelli.protocols.raft.loads import STORE
from libelli.protocols.raft.progress import ProgressState
from libelli.protocols.raft.state import Leading, State


def hand_over(state: State) -> None:
    """Hands committed entries to the store, one bounded Commit at a time."""
    if state.handed >= state.commit or state.applied < state.handed or state.installation is not None:
        return
    first = Index(state.handed + 1)
    entries = state.log.read(first, last=state.commit, size_max=state.options.commit_bytes)
    if entries is None:
        state.loads.want(STORE, first=first, last=state.commit)
        return
    last = Index(state.handed + len(entries))
    state.handed = last
    state.effects.append(Commit(first, entries, take_waiters(state, first, last)))


def take_waiters(state: State, first: Index, last: Index) -> tuple[Waiter, ...]:
    """Returns who waits for each of these entries, and forgets them."""
    waiters = state.waiters
    if not waiters:
        return (NOBODY,) * (last + 1 - first)
    return tuple([waiters.pop(index, NOBODY) for index in range(first, last + 1)])


def on_applied(state: State, index: Index) -> None:
    """The store holds everything up to `index`."""
    if index > state.handed:
        raise InvariantError(f"applied up to {index}, but only entries up to {state.handed} were handed over")
    state.applied = max(state.applied, index)
    state.log.evict(state.durability.index)


def on_checkpointed(state: State, index: Index) -> None:
    """The store is durable up to `index`: the log forgets what lies far enough behind it (§5.1)."""
    log = state.log
    index = min(index, state.applied)
    if index <= log.start_index:
        return
    options = state.options
    start = log.retained_start(index, entries_max=options.retain_entries, bytes_max=options.retain_bytes)
    if state.leading is not None:
        start = min(start, oldest_snapshot_under_way(state, state.leading))
    if start <= log.start_index:
        return
    log.compact(start)
    state.durability.raise_to(start)
    configuration = state.configurations.compact(start)
    state.records.append(LogStart(start, log.start_term, configuration))


def oldest_snapshot_under_way(state: State, leading: Leading) -> Index:
    """Returns what the log must keep, so that a follower finds the entries behind its snapshot still there."""
    timeout_ticks = state.timing.election_max_ticks
    return min(
        (
            progress.offered
            for progress in leading.progress.values()
            if progress.state is ProgressState.SNAPSHOT and state.tick - progress.heard_tick <= timeout_ticks
        ),
        default=state.log.last_index,
    )


def load_wanted(state: State) -> None:
    """Asks for entries whose data left memory, for one wisher at a time."""
    while (wanted := state.loads.next()) is not None:
        first, last = wanted
        if first > state.log.start_index and last <= state.log.last_index:
            state.effects.append(Load(first, last, state.options.load_bytes))
            return
        state.loads.finish(first)  # cut or compacted since: whoever still needs it will ask again


def on_loaded(state: State, first: Index, entries: tuple[Entry, ...]) -> None:
    """Entries are back from disk; the rules at the end of the step find them where they miss them."""
    if not state.loads.finish(first):
        return
    log = state.log
    if not entries and log.start_index < first < log.data_first:
        raise InvariantError(f"entry {first} is gone from the disk, but the log begins after {log.start_index}")
    log.lend(first, entries)
