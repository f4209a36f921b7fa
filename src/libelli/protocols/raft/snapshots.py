"""A follower that is too far behind gets the store's state instead of entries.

::

    leader                          follower                         its world
      SnapshotOffer(index 500) ─────► InstallSnapshot(leader, 500) ───► fetches chunk by chunk
      Heartbeat ─────────────────────► (no election, nothing applied)     …
                                      LogStart(731) ◄── SnapshotInstalled(731)
      ◄──────────── AppendAccepted(731), once that is durable
      AppendEntries(732 …) ─────────►

Source: D. Ongaro (2014), chapter 5 and figure 5.3.
Differs: the leader sends a small offer and the follower's world fetches, at its own pace; the snapshot is the
    leader's store as it is then, so it may reach further than was offered.
"""

from libelli.core.effects import InstallSnapshot
from libelli.core.entries import LogStart
from libelli.core.errors import Code, InvariantError
from libelli.core.events import SnapshotInstalled
from libelli.core.ids import NO_NODE, Index, NodeId
from libelli.protocols.raft.following import follow
from libelli.protocols.raft.membership import Configurations
from libelli.protocols.raft.messages import AppendAccepted, AppendRejected, SnapshotOffer
from libelli.protocols.raft.roles import become_follower
from libelli.protocols.raft.state import Installation, State


def on_snapshot_offer(state: State, source: NodeId, message: SnapshotOffer) -> None:
    """Begins to fetch a snapshot, unless one is on its way already or none is needed."""
    if not follow(state, source, message.term):
        state.send(source, AppendRejected(state.term, message.index, state.log.start_index, state.log.start_term))
    elif message.index <= state.commit:
        state.send_when_durable(source, AppendAccepted(state.term, state.commit))
    elif state.installation is None:
        state.installation = Installation(source, message)


def begin_install(state: State) -> None:
    """Asks the world for the snapshot, once the store has applied what was handed to it."""
    installation = state.installation
    if installation is not None and not installation.asked and state.applied == state.handed:
        installation.asked = True
        state.effects.append(InstallSnapshot(installation.source, installation.offer.index))


def on_snapshot_installed(state: State, event: SnapshotInstalled) -> None:
    """The store holds the state at `index`; the log goes on from there (figure 5.3, steps 6–8)."""
    if state.installation is None:
        raise InvariantError(f"a snapshot up to {event.index} was installed that nobody asked for")
    state.installation = None
    state.countdown = state.election_ticks
    if event.term > state.term:
        become_follower(state, event.term, leader=NO_NODE)  # the snapshot is newer than all that was heard
    if event.index == 0:
        return  # the transfer failed, and the leader will offer another one
    if event.index < state.applied:
        raise InvariantError(f"a snapshot up to {event.index} replaced a store that had applied {state.applied}")
    # 6. If the log holds the snapshot's last entry, what follows it stays.
    if not state.log.matches(index=event.index, term=event.term):
        restart_log(state, event)
    state.applied = state.handed = event.index
    state.commit = max(state.commit, event.index)
    state.matched = max(state.matched, state.commit)
    drop_waiters(state, event.index)
    if state.leader != NO_NODE:
        state.send_when_durable(state.leader, AppendAccepted(state.term, event.index))


def drop_waiters(state: State, index: Index) -> None:
    """Entries that were to be applied here came with the snapshot: they are committed, their answers are not known."""
    for covered in [at for at in state.waiters if at <= index]:
        text = f"entry {covered} is committed, but a snapshot brought it here and not its answer"
        state.reply(state.waiters.pop(covered), Code.LEADER_CHANGED, text, leader=state.leader)


def restart_log(state: State, event: SnapshotInstalled) -> None:
    """7. Else the log is discarded, and begins after the snapshot."""
    if event.index < state.commit:
        raise InvariantError(
            f"the snapshot has term {event.term} at {event.index}; the log, committed up to {state.commit}, "
            f"has {state.log.term_at(event.index)} (State Machine Safety, figure 3.2)"
        )
    state.log.reset(start_index=event.index, start_term=event.term)
    state.durability.cut(event.index)
    state.durability.raise_to(event.index)
    state.configurations = Configurations(index=event.index, configuration=event.configuration)
    state.voters = event.configuration.voter_nodes
    state.records.append(LogStart(event.index, event.term, event.configuration))
