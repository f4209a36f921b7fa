"""Changes of membership: one server at a time, learners first.

::

    AddLearner ──► learner ── catches up (§4.2.1) ──► PromoteLearner ──► voter
    RemoveMember ◄──────────────── either

Adding or removing a single voter keeps every old and every new majority overlapping, so no joint configuration is
needed (§4.1), provided that (a) the change before is committed and (b) the leader has committed an entry of its
own term: without (b), changes of two leaders could overlap.

Source: D. Ongaro (2014), chapter 4; for (b): D. Ongaro, "bug in single-server membership changes", raft-dev
    mailing list, 10 July 2015.
"""

from libelli.core.entries import Entry, EntryKind
from libelli.core.errors import Code
from libelli.core.events import AddLearner, PromoteLearner, RemoveMember
from libelli.core.ids import Index, NodeId, Waiter
from libelli.core.limits import MEMBERS_MAX
from libelli.core.members import Configuration
from libelli.protocols.raft.quorum import majority
from libelli.protocols.raft.reads import end_lease
from libelli.protocols.raft.roles import track_members
from libelli.protocols.raft.state import Leading, State

Refusal = tuple[Code, str]


def on_add_learner(state: State, leading: Leading, request: AddLearner) -> None:
    """Adds a member without a vote."""
    member, configuration = request.member, state.configuration
    refusal = why_no_change(state, leading)
    if refusal is None and any(member.node == other.node or member.name == other.name for other in configuration):
        refusal = Code.MEMBER_EXISTS, f"node {member.node} or the name {member.name!r} is a member already"
    if refusal is None and len(configuration.nodes) >= MEMBERS_MAX:
        refusal = Code.TOO_LARGE, f"the group has {MEMBERS_MAX} members, which is the limit: remove one first"
    change(state, leading, request.waiter, configuration.with_learner(member), refusal)


def on_promote_learner(state: State, leading: Leading, request: PromoteLearner) -> None:
    """Gives a learner its vote, once waiting for it would not delay the group (§4.2.1)."""
    configuration = state.configuration
    member = configuration.find(request.node)
    refusal = why_no_change(state, leading)
    if member is None or refusal is not None:
        refusal = refusal or (Code.MEMBER_NOT_FOUND, f"node {request.node} is no member: add it first")
        return change(state, leading, request.waiter, configuration, refusal)
    if member.node in configuration.voter_nodes:
        return state.reply(request.waiter, Code.OK, "")
    promoted = configuration.with_voter(member)
    refusal = why_not_ready(state, leading, request.node) or why_unsafe(state, leading, promoted)
    return change(state, leading, request.waiter, promoted, refusal)


def on_remove_member(state: State, leading: Leading, request: RemoveMember) -> None:
    """Removes a voter or learner; a leader may remove itself (§4.2.2)."""
    configuration = state.configuration
    smaller = configuration.without(request.node)
    refusal = why_no_change(state, leading)
    if refusal is None and configuration.find(request.node) is None:
        refusal = Code.MEMBER_NOT_FOUND, f"node {request.node} is no member"
    if refusal is None and request.node in configuration.voter_nodes:
        refusal = why_unsafe(state, leading, smaller)
    change(state, leading, request.waiter, smaller, refusal)


def why_no_change(state: State, leading: Leading) -> Refusal | None:
    """Returns why no change at all may begin now, or None."""
    if leading.transfer is not None:
        return Code.CHANGE_IN_PROGRESS, f"leadership is on its way to node {leading.transfer.target}: try again later"
    if state.commit < leading.first_index:
        return Code.CHANGE_IN_PROGRESS, "this leader has not committed an entry of its term yet: try again"
    pending = state.configurations.latest_index
    if pending > state.commit:
        return Code.CHANGE_IN_PROGRESS, f"the change at entry {pending} is not committed yet: try again"
    return None


def why_not_ready(state: State, leading: Leading, node: NodeId) -> Refusal | None:
    """Returns why a learner may not vote yet, or None."""
    progress, catch_up = leading.progress.get(node), leading.catch_ups.get(node)
    last_index = state.log.last_index
    if progress is not None and catch_up is not None and is_heard(state, leading, node):
        if catch_up.is_ready(match=progress.match, last_index=last_index, tick=state.tick):
            return None
    match = progress.match if progress is not None else 0
    return (
        Code.LEARNER_NOT_READY,
        f"node {node} has the log up to {match}, the leader up to {last_index}: wait until it keeps pace",
    )


def why_unsafe(state: State, leading: Leading, configuration: Configuration) -> Refusal | None:
    """Returns why the voters of `configuration` could not go on, or None."""
    voters = configuration.voter_nodes
    if not voters:
        return Code.UNSAFE_CHANGE, "the last voter cannot be removed"
    reachable = [node for node in voters if is_heard(state, leading, node)]
    needed = majority(len(voters))
    if len(reachable) < needed:
        return (
            Code.UNSAFE_CHANGE,
            f"of the voters {list(voters)} only {reachable} answer, {needed} are needed: repair or remove the others",
        )
    return None


def is_heard(state: State, leading: Leading, node: NodeId) -> bool:
    """Whether a member answered within an election timeout."""
    if node == state.node:
        return True
    progress = leading.progress.get(node)
    return progress is not None and state.tick - progress.heard_tick <= state.timing.election_max_ticks


def change(
    state: State, leading: Leading, waiter: Waiter, configuration: Configuration, refusal: Refusal | None
) -> None:
    """Puts the configuration into the log, where it is in force at once (§4.1); or refuses."""
    if refusal is not None:
        state.reply(waiter, refusal[0], refusal[1])
        return
    index = Index(state.log.last_index + 1)
    state.append([Entry(state.term, EntryKind.CONFIGURATION, configuration.encode())])
    state.waiters[index] = waiter
    track_members(state, leading, next_index=index)
    end_lease(leading)


def is_removed(state: State) -> bool:
    """Whether this leader's removal is committed: the others can do without it now (§4.2.2)."""
    return state.node not in state.voters and state.configurations.latest_index <= state.commit
