"""What clients and operators ask for, in the order of arrival (figure 6.1).

Every request is answered: by the store with the entry that it became, by a Read, or by a Reply here.
"""

from libelli.core.entries import Entry, EntryKind
from libelli.core.errors import Code
from libelli.core.events import (
    AddLearner,
    PromoteLearner,
    Propose,
    Query,
    RemoveMember,
    Request,
    TransferLeadership,
)
from libelli.core.ids import NO_NODE, NOBODY, Index
from libelli.protocols.raft.changes import on_add_learner, on_promote_learner, on_remove_member
from libelli.protocols.raft.log import ENTRY_OVERHEAD
from libelli.protocols.raft.reads import on_query
from libelli.protocols.raft.state import Leading, State
from libelli.protocols.raft.transfer import on_transfer


def on_requests(state: State, batch: tuple[Request, ...]) -> None:
    """Takes a batch; neighbouring proposals become one append."""
    leading = state.leading
    if leading is None:
        for request in batch:
            redirect(state, request)
        return
    proposals: list[Propose] = []
    for request in batch:
        if isinstance(request, Propose):
            proposals.append(request)
            continue
        append_proposals(state, leading, proposals)
        match request:
            case Query(waiter):
                on_query(state, leading, waiter)
            case AddLearner():
                on_add_learner(state, leading, request)
            case PromoteLearner():
                on_promote_learner(state, leading, request)
            case RemoveMember():
                on_remove_member(state, leading, request)
            case TransferLeadership():
                on_transfer(state, leading, request)
    append_proposals(state, leading, proposals)


def redirect(state: State, request: Request) -> None:
    """Only a leader takes requests; says who that is (§6.2)."""
    if state.leader == NO_NODE:
        state.reply(request.waiter, Code.NO_LEADER, "no leader is known: try again")
    else:
        text = f"node {state.leader} leads: ask there"
        state.reply(request.waiter, Code.NOT_LEADER, text, leader=state.leader)


def append_proposals(state: State, leading: Leading, proposals: list[Propose]) -> None:
    """Appends proposals to the log, up to the bound on what is not applied yet; empties the list (§3.5)."""
    if not proposals:
        return
    log, term, waiters = state.log, state.term, state.waiters
    room = state.options.unapplied_bytes - log.size(after=state.applied, last=log.last_index)
    index = log.last_index
    entries: list[Entry] = []
    for proposal in proposals:
        size = len(proposal.data) + ENTRY_OVERHEAD
        if leading.transfer is not None or size > room:
            refuse(state, leading, proposal)
            continue
        room -= size
        entries.append(Entry(term, EntryKind.COMMAND, proposal.data))
        index = Index(index + 1)
        if proposal.waiter != NOBODY:
            waiters[index] = proposal.waiter
    if entries:
        state.append(entries)
    proposals.clear()


def refuse(state: State, leading: Leading, proposal: Propose) -> None:
    """Says why a proposal was not taken; it did not happen."""
    if leading.transfer is not None:
        text = f"leadership is on its way to node {leading.transfer.target}: try again"
        state.reply(proposal.waiter, Code.NO_LEADER, text)
    else:
        limit = state.options.unapplied_bytes
        text = f"more than {limit} bytes of proposals would wait to be applied: try again later"
        state.reply(proposal.waiter, Code.OVERLOADED, text)
