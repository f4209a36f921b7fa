"""A leader's term of office: its ticks, and how it ends.

Source: D. Ongaro (2014), §3.4 (heartbeats), §4.2.2 (a removed leader), §6.2 (a leader without a majority).
Differs: a leader that resigns because it was removed or its disk hangs tells the voter that is furthest to
    campaign at once (§3.10), so the group need not wait for an election timeout; a hanging disk is not in the
    dissertation at all.
"""

from libelli.core.ids import NO_NODE, NodeId
from libelli.protocols.raft import quorum, transfer
from libelli.protocols.raft.changes import is_removed
from libelli.protocols.raft.messages import Heartbeat, TimeoutNow
from libelli.protocols.raft.reads import begin_round
from libelli.protocols.raft.roles import become_follower
from libelli.protocols.raft.state import Leading, State


def on_tick(state: State, leading: Leading) -> None:
    """A tick as leader: resigns, sends heartbeats, or tells late what is committed."""
    if lost_majority(state, leading):
        resign(state, successor=NO_NODE)
        return
    if state.disk_hangs:
        resign(state, successor=transfer.furthest_voter(state, leading))
        return
    transfer.on_leader_tick(state, leading)
    for node, catch_up in leading.catch_ups.items():
        catch_up.advance(match=leading.progress[node].match, last_index=state.log.last_index, tick=state.tick)
    if state.tick >= leading.heartbeat_tick:
        leading.heartbeat_tick = state.tick + state.timing.heartbeat_ticks
        begin_round(state, leading)
    else:
        tell_commit(state, leading)


def tell_commit(state: State, leading: Leading) -> None:
    """Tells what is committed to followers that no AppendEntries has told since the last tick."""
    for node, progress in leading.progress.items():
        if progress.commit_told < state.commit:
            progress.commit_told = state.commit
            state.send(node, Heartbeat(state.term, state.commit, leading.rounds.latest))


def lost_majority(state: State, leading: Leading) -> bool:
    """Whether no majority has answered for an election timeout: it can serve nobody any more (§6.2)."""
    progress = leading.progress
    heard = quorum.agreed([state.tick if node == state.node else progress[node].heard_tick for node in state.voters])
    return state.tick - heard > state.timing.election_max_ticks


def leave_if_removed(state: State, leading: Leading) -> None:
    """A leader that the committed configuration lacks has done its last duty (§4.2.2)."""
    if is_removed(state):
        begin_round(state, leading)  # the last word: what is committed
        resign(state, successor=transfer.furthest_voter(state, leading))


def resign(state: State, *, successor: NodeId) -> None:
    """Steps down in its own term, and lets `successor` (0: nobody) campaign at once."""
    become_follower(state, state.term, leader=NO_NODE)
    if successor != NO_NODE:
        state.send(successor, TimeoutNow(state.term))
