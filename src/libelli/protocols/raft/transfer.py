"""Handing leadership over to a named voter, without a pause of an election timeout.

::

    leader ── catches the target up ──► TimeoutNow ──► target campaigns at once ──► new term
       │                                                                              │
       └─ refuses proposals meanwhile; gives up after an election timeout             └─ asker: done

Source: D. Ongaro (2014), §3.10; §6.4.1 (the lease ends before).
"""

from libelli.core.errors import Code
from libelli.core.events import TransferLeadership
from libelli.core.ids import NO_NODE, NodeId
from libelli.protocols.raft.messages import TimeoutNow
from libelli.protocols.raft.state import Leading, State, Transfer


def on_transfer(state: State, leading: Leading, request: TransferLeadership) -> None:
    """Begins to hand over to `target`, or to the voter that is furthest (target 0)."""
    target = request.target or furthest_voter(state, leading)
    if leading.transfer is not None:
        state.reply(
            request.waiter,
            Code.CHANGE_IN_PROGRESS,
            f"leadership is on its way to node {leading.transfer.target} already: try again later",
        )
    elif target == state.node:
        state.reply(request.waiter, Code.OK, "")
    elif target == NO_NODE:
        state.reply(request.waiter, Code.NOT_CONNECTED, "no other voter answers: there is nobody to hand over to")
    elif target not in state.voters:
        state.reply(request.waiter, Code.MEMBER_NOT_FOUND, f"node {target} is no voter: promote it first")
    else:
        leading.transfer = Transfer(request.waiter, target, state.tick + state.timing.election_max_ticks)


def furthest_voter(state: State, leading: Leading) -> NodeId:
    """Returns the other voter that answers and has most of the log; the lowest of equals, 0 if none answers."""
    timeout_ticks = state.timing.election_max_ticks
    best, best_match = NO_NODE, -1
    for node, progress in leading.progress.items():
        is_heard = state.tick - progress.heard_tick <= timeout_ticks
        if is_heard and node in state.voters and progress.match > best_match:
            best, best_match = node, progress.match
    return best


def tell_target(state: State, leading: Leading) -> None:
    """Sends TimeoutNow as soon as the target has the whole log (§3.10, step 3)."""
    transfer = leading.transfer
    if transfer is None or transfer.told:
        return
    progress = leading.progress.get(transfer.target)
    if progress is not None and progress.match == state.log.last_index:
        transfer.told = True
        # However late that message arrives in this term, the target will campaign: no lease is safe any more.
        leading.may_lease = False
        state.send(transfer.target, TimeoutNow(state.term))


def on_leader_tick(state: State, leading: Leading) -> None:
    """Gives up after an election timeout, and takes proposals again (§3.10)."""
    transfer = leading.transfer
    if transfer is None or state.tick < transfer.deadline_tick:
        return
    leading.transfer = None
    if transfer.told:
        text = f"node {transfer.target} was told to campaign, but has not won: it may yet"
        state.reply(transfer.waiter, Code.TIMED_OUT, text)
    else:
        text = f"node {transfer.target} did not catch up within an election timeout: leadership stays here"
        state.reply(transfer.waiter, Code.NOT_CONNECTED, text)


def conclude(state: State) -> None:
    """After stepping down: says how the transfer ended, once the next leader is known or time is up."""
    handover = state.handover
    if handover is None:
        return
    if state.leader == handover.target:
        state.reply(handover.waiter, Code.OK, "", leader=state.leader)
    elif state.leader != NO_NODE or state.tick >= handover.deadline_tick:
        text = f"this node stepped down, but node {handover.target} does not lead as far as it knows"
        state.reply(handover.waiter, Code.LEADER_CHANGED, text, leader=state.leader)
    else:
        return
    state.handover = None
