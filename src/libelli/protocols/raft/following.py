"""What a follower does with its leader's messages.

Source: D. Ongaro (2014), §3.4 and figure 3.1, *AppendEntries RPC, receiver implementation* 1–5; §3.5.
"""

from libelli.core.entries import Entry
from libelli.core.errors import InvariantError
from libelli.core.ids import Index, NodeId, Term
from libelli.protocols.raft.messages import (
    AppendAccepted,
    AppendEntries,
    AppendRejected,
    Heartbeat,
    HeartbeatReply,
)
from libelli.protocols.raft.roles import become_follower
from libelli.protocols.raft.state import Role, State


def follow(state: State, source: NodeId, term: Term) -> bool:
    """Accepts `source` as the leader of `term`; returns whether it is one (not of an older term).

    A candidate of the same term gives up: somebody else won (§3.4).
    """
    if term < state.term:
        return False
    if term > state.term or state.role is not Role.FOLLOWER or state.leader != source:
        if term == state.term and (state.leading is not None or state.leader not in (0, source)):
            raise InvariantError(
                f"node {source} and node {state.leader} both lead term {term} (Election Safety, figure 3.2)"
            )
        become_follower(state, term, leader=source)
    state.silence = 0
    state.countdown = state.election_ticks
    return True


def on_append_entries(state: State, source: NodeId, message: AppendEntries) -> None:
    """Takes entries that fit behind its own (figure 3.1, steps 1–5)."""
    # 1. An old leader learns that its term is over.
    if not follow(state, source, message.term):
        state.send(source, AppendRejected(state.term, message.previous_index, Index(0), Term(0)))
        return
    # 2. The entry before must be the same; else say where the logs may still agree.
    log = state.log
    previous, entries = message.previous_index, message.entries
    if previous < log.start_index:
        previous, entries = skip_stored(state, previous, entries)
    elif not log.matches(index=previous, term=message.previous_term):
        hint = log.last_with_term_up_to(message.previous_term, index=previous)
        state.send(source, AppendRejected(state.term, previous, hint, log.term_at(hint)))
        return
    # 3. and 4. Replace what conflicts, append what is new.
    match = Index(previous + len(entries))
    if entries:
        take_entries(state, previous, entries)
    # 5. What the leader has committed is committed here, as far as the logs are known to be the same.
    state.matched = max(state.matched, match)
    learn_commit(state, message.commit)
    state.send_when_durable(source, AppendAccepted(state.term, match))


def skip_stored(state: State, previous: Index, entries: tuple[Entry, ...]) -> tuple[Index, tuple[Entry, ...]]:
    """Drops entries that the store holds already: they are committed, so they are the same."""
    start = state.log.start_index
    return start, entries[start - previous :]


def take_entries(state: State, previous: Index, entries: tuple[Entry, ...]) -> None:
    """Appends the entries that the log lacks; cuts it only where one is really another (§3.5).

    A late or repeated message holds entries that are there already, and perhaps fewer: it must not cut off what
    was acknowledged since.
    """
    log = state.log
    new = 0
    while new < len(entries) and previous + new < log.last_index:
        if log.term_at(previous + new + 1) != entries[new].term:
            break
        new += 1
    if new == len(entries):
        return
    last_same = previous + new
    if last_same < log.last_index:
        if last_same < state.matched:
            raise InvariantError(
                f"entry {last_same + 1} conflicts with the leader of term {state.term}, "
                f"but the logs are known to be the same up to {state.matched} (Log Matching, figure 3.2)"
            )
        state.truncate(last_same)
    state.append(entries[new:] if new else entries)


def learn_commit(state: State, commit: Index) -> None:
    """The leader has committed up to `commit`; beyond `matched` the entries here may be others."""
    known = min(commit, state.matched)
    state.commit = max(state.commit, known)


def on_heartbeat(state: State, source: NodeId, message: Heartbeat) -> None:
    """There is a leader. The answer claims nothing about the log, so it need not wait for the disk."""
    if follow(state, source, message.term):
        learn_commit(state, message.commit)
        is_unsure = state.matched < min(message.commit, state.log.last_index)
        state.send(source, HeartbeatReply(state.term, message.round, is_unsure))
    else:
        state.send(source, HeartbeatReply(state.term, 0))
