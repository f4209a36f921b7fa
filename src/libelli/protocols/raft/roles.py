"""Changes of role (figure 3.3), and nothing else: no message is sent here.

::

                     times out                a majority would vote           a majority votes
    FOLLOWER ─────────────────► PRE_CANDIDATE ────────────────► CANDIDATE ─────────────────► LEADER
       ▲                            │  ▲                          │   │                        │
       │     a leader, a newer term │  └────────── times out ─────│───┘                        │
       └────────────────────────────┴─────────────────────────────┴────────────────────────────┘
                                             a newer term, no majority (§6.2), a hanging disk, removed (§4.2.2)
"""

from libelli.core.errors import Code
from libelli.core.ids import NO_NODE, Index, NodeId, Term
from libelli.protocols.raft.membership import CatchUp
from libelli.protocols.raft.progress import Progress
from libelli.protocols.raft.quorum import Ballot
from libelli.protocols.raft.state import Leading, Role, State


def become_follower(state: State, term: Term, *, leader: NodeId) -> None:
    """Follows `leader` (0: unknown) in `term`, which is not lower than the current one."""
    if term > state.term:
        state.set_term(term, voted_for=NO_NODE)
        # Whatever the last leader's log had in common with ours, the next one's may lack; only what is
        # committed stays common (§3.6.3).
        state.matched = state.commit
    state.leader = leader
    if state.role is not Role.FOLLOWER:
        if state.leading is not None:
            leave_office(state, state.leading)
        state.role = Role.FOLLOWER
        state.ballot = None
        state.redraw_election()


def is_current(state: State, term: Term) -> bool:
    """Whether a reply of this term answers a question of ours; a newer term ends our own (§3.3)."""
    if term > state.term:
        become_follower(state, term, leader=NO_NODE)
        return False
    return term == state.term


def become_pre_candidate(state: State) -> None:
    """Asks whether an election could be won (§9.6); the term stays."""
    state.role = Role.PRE_CANDIDATE
    state.leader = NO_NODE
    state.ballot = Ballot(state.voters)
    state.ballot.cast(state.node, granted=True)
    state.redraw_election()


def become_candidate(state: State) -> None:
    """Begins a new term and votes for itself (§3.4).

    Its own vote counts once it is durable, like all votes: else it could vote again in this term after a crash.
    """
    state.role = Role.CANDIDATE
    state.leader = NO_NODE
    state.set_term(state.next_term, voted_for=state.node)
    state.matched = state.commit
    state.ballot = Ballot(state.voters)
    state.ballot_ticket = state.durability.next_ticket
    state.redraw_election()


def become_leader(state: State) -> Leading:
    """Takes office: every follower's log is unknown, so its next entry is the one behind our last (§3.5)."""
    state.role = Role.LEADER
    state.leader = state.node
    state.ballot = None
    leading = Leading(first_index=Index(state.log.last_index + 1), tick=state.tick)
    state.leading = leading
    track_members(state, leading, next_index=leading.first_index)
    return leading


def leave_office(state: State, leading: Leading) -> None:
    """Answers everybody who waits for this leader: it can promise nothing any more.

    Queries did not happen. An entry that is not known to be committed may be committed by a later leader. One
    that is committed will be applied here too, and its waiter gets the store's answer.
    """
    state.leading = None
    state.silence = state.timing.election_min_ticks  # nothing binds its vote any more
    for waiter in leading.rounds.abandon():
        state.reply(waiter, Code.NOT_LEADER, "the leader stepped down: ask the next one", leader=state.leader)
    open_indexes = [index for index in state.waiters if index > state.commit]
    for index in open_indexes:
        waiter = state.waiters.pop(index)
        state.reply(
            waiter,
            Code.LEADER_CHANGED,
            f"the leader stepped down before entry {index} was known to be committed: it may be yet",
            leader=state.leader,
        )
    if leading.transfer is not None:
        state.handover = leading.transfer


def track_members(state: State, leading: Leading, *, next_index: Index) -> None:
    """Follows the configuration in force: a new member gets a progress, a removed one loses it.

    Args:
        next_index: of the entry that a new member is sent first.
    """
    options = state.options
    progress: dict[NodeId, Progress] = {}
    for node in state.configuration.nodes:
        if node != state.node:
            progress[node] = leading.progress.get(node) or Progress(
                next_index=next_index,
                tick=state.tick,
                inflight_messages=options.inflight_messages,
                inflight_bytes=options.inflight_bytes,
            )
    leading.progress = progress
    leading.catch_ups = {
        member.node: leading.catch_ups.get(member.node)
        or CatchUp(tick=state.tick, target=state.log.last_index, timeout_ticks=state.timing.election_max_ticks)
        for member in state.configuration.learners
        if member.node != state.node
    }
