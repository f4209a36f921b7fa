"""Elections: who may campaign, who gets a vote, who wins.

The rules in the order of an election; `transfer` and `replication` say when a leader gives up.

Source: D. Ongaro (2014), §3.4 (elections), §3.6.1 (whose log is good enough), §4.2.2 and §4.2.3 (removed and
    disruptive servers), §9.6 (pre-votes).
"""

from libelli.core.entries import Entry, EntryKind
from libelli.core.ids import NO_NODE, NodeId, Ticket
from libelli.protocols.raft.messages import (
    PreVote,
    PreVoteReply,
    RequestVote,
    TimeoutNow,
    VoteDenied,
    VoteGranted,
)
from libelli.protocols.raft.roles import (
    become_candidate,
    become_follower,
    become_leader,
    become_pre_candidate,
    is_current,
)
from libelli.protocols.raft.state import Role, State


def on_tick(state: State) -> None:
    """A tick without being leader: silence grows, and in the end there is an election (§3.4)."""
    state.silence += 1
    state.countdown -= 1
    if state.countdown > 0:
        return
    if why_not_campaign(state) is None:
        begin_pre_vote(state)
    else:
        become_follower(state, state.term, leader=NO_NODE)
        state.redraw_election()


def why_not_campaign(state: State) -> str | None:
    """Returns what forbids this replica to stand for election, or None."""
    if state.installation is not None:
        return "its store is being replaced by a snapshot"
    if state.disk_hangs:
        return "its own disk does not answer"
    configurations = state.configurations
    if state.node in state.voters:
        return None
    # §4.2.2: until its removal is committed, a removed voter may be the only one whose log is good enough.
    is_removal_open = configurations.latest_index > state.commit
    if is_removal_open and configurations.previous is not None:
        if state.node in configurations.previous.voter_nodes:
            return None
    return "it is no voter"


def hears_leader(state: State) -> bool:
    """Whether there is a leader as far as this replica can know (§4.2.3)."""
    return state.leading is not None or state.silence < state.timing.election_min_ticks


# The pre-vote (§9.6): nobody's term changes before a majority would vote.


def begin_pre_vote(state: State) -> None:
    """Asks all voters whether they would vote for this replica."""
    become_pre_candidate(state)
    if state.ballot is not None and state.ballot.is_won:
        begin_election(state, leader_agrees=False)
        return
    log = state.log
    question = PreVote(state.term, state.next_term, log.last_index, log.last_term)
    for voter in state.voters:
        if voter != state.node:
            state.send(voter, question)


def on_pre_vote(state: State, source: NodeId, message: PreVote) -> None:
    """Says whether `RequestVote` would be granted; promises nothing."""
    granted = (
        not hears_leader(state)
        and (message.proposed_term > state.term or has_vote_for(state, source, term=message.proposed_term))
        and state.log.is_up_to_date(last_index=message.last_index, last_term=message.last_term)
    )
    state.send(source, PreVoteReply(state.term, message.proposed_term, granted))


def on_pre_vote_reply(state: State, source: NodeId, message: PreVoteReply) -> None:
    """Counts a pre-vote; with a majority the real election begins."""
    if message.term > state.term:
        become_follower(state, message.term, leader=NO_NODE)
        return
    if state.role is not Role.PRE_CANDIDATE or message.proposed_term != state.next_term or state.ballot is None:
        return
    state.ballot.cast(source, granted=message.granted)
    if state.ballot.is_won:
        begin_election(state, leader_agrees=False)
    elif state.ballot.is_lost:
        become_follower(state, state.term, leader=NO_NODE)


# The election (§3.4).


def begin_election(state: State, *, leader_agrees: bool) -> None:
    """Begins a term and asks all voters for their votes, once its own is durable."""
    become_candidate(state)
    log = state.log
    request = RequestVote(state.term, log.last_index, log.last_term, leader_agrees)
    for voter in state.voters:
        if voter != state.node:
            state.send_when_durable(voter, request)


def has_vote_for(state: State, candidate: NodeId, *, term: int) -> bool:
    """Whether in the current term the vote is free, or already `candidate`'s."""
    return term == state.term and state.voted_for in (NO_NODE, candidate)


def why_drop_request_vote(state: State, message: RequestVote) -> str | None:
    """Returns why a request for a vote is not even looked at, or None (§4.2.3)."""
    if hears_leader(state) and not message.leader_agrees:
        return "there is a leader, and it did not ask for an election"
    return None


def on_request_vote(state: State, source: NodeId, message: RequestVote) -> None:
    """Votes for the first candidate of a term whose log holds all that ours does (§3.4, §3.6.1)."""
    if why_drop_request_vote(state, message) is not None:
        return
    if message.term > state.term:
        become_follower(state, message.term, leader=NO_NODE)
    log_is_good = state.log.is_up_to_date(last_index=message.last_index, last_term=message.last_term)
    if not (log_is_good and has_vote_for(state, source, term=message.term)):
        state.send(source, VoteDenied(state.term))
        return
    become_follower(state, state.term, leader=state.leader)
    if state.voted_for != source:
        state.set_term(state.term, voted_for=source)
    state.countdown = state.election_ticks
    state.send_when_durable(source, VoteGranted(state.term))


def on_vote_granted(state: State, source: NodeId, message: VoteGranted) -> None:
    """Counts a vote."""
    if is_current(state, message.term) and state.role is Role.CANDIDATE:
        count_vote(state, source, granted=True)


def on_vote_denied(state: State, source: NodeId, message: VoteDenied) -> None:
    """Counts a denial; without a majority left it waits for another election."""
    if is_current(state, message.term) and state.role is Role.CANDIDATE:
        count_vote(state, source, granted=False)


def on_own_vote_durable(state: State, ticket: Ticket) -> None:
    """Counts a candidate's vote for itself, as soon as it could not vote for another one after a crash (§3.8)."""
    if state.role is Role.CANDIDATE and ticket >= state.ballot_ticket:
        count_vote(state, state.node, granted=True)


def count_vote(state: State, voter: NodeId, *, granted: bool) -> None:
    """Counts one vote, and draws the conclusion."""
    if state.ballot is None:
        return
    state.ballot.cast(voter, granted=granted)
    if state.ballot.is_won:
        take_office(state)
    elif state.ballot.is_lost:
        become_follower(state, state.term, leader=NO_NODE)


def take_office(state: State) -> None:
    """Leads, and appends a no-op, with which all earlier entries become committed (§6.4)."""
    become_leader(state)
    state.append([Entry(state.term, EntryKind.NOOP)])


def on_timeout_now(state: State, source: NodeId, message: TimeoutNow) -> None:
    """The leader hands over: campaigns at once, without asking whether it could win (§3.10)."""
    if message.term > state.term:
        become_follower(state, message.term, leader=source)
    if message.term == state.term and state.leading is None and why_not_campaign(state) is None:
        begin_election(state, leader_agrees=True)
