"""Sentences of the dissertation about logs and their commitment, as replicas live up to them.

Source: D. Ongaro, "Consensus: Bridging Theory and Practice" (2014), §3.5, §3.6; figure numbers are those of the
    paper of the same year (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", figures 7
    and 8) where it says so.
"""

import pytest

from libelli.core import Entries, Entry, EntryKind, HardState, Index, InvariantError, NodeId, Persist, Term
from libelli.core.events import Message
from libelli.protocols.raft.messages import AppendAccepted, AppendEntries, AppendRejected, RequestVote
from tests.protocols.raft.world import Cluster

LEADER = (1, 1, 1, 4, 4, 5, 5, 6, 6, 6)
"""Figure 7: the log of the leader of term 8, as terms."""

FOLLOWERS = {
    "a lacks one entry": (1, 1, 1, 4, 4, 5, 5, 6, 6),
    "b lacks many": (1, 1, 1, 4),
    "c has one more": (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6),
    "d has a whole term more": (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7),
    "e has other entries of term 4 and no later ones": (1, 1, 1, 4, 4, 4, 4),
    "f led terms 2 and 3 and committed nothing": (1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3),
}


def cluster_with(*logs: tuple[int, ...], term: int = 0) -> Cluster:
    """A cluster whose replica n starts with the n-th log on its disk; entries are equal where terms agree."""
    cluster = Cluster(len(logs))
    newest = max([term, *(terms[-1] for terms in logs if terms)])
    for number, terms in enumerate(logs, start=1):
        cluster.crash(number)
        entries = tuple(Entry(Term(each), EntryKind.COMMAND, f"{each}".encode()) for each in terms)
        cluster.nodes[NodeId(number)].disk.write([HardState(Term(newest)), Entries(Index(1), entries)])
        cluster.start(number)
    return cluster


@pytest.mark.parametrize("follower", FOLLOWERS.values(), ids=FOLLOWERS.keys())
def test_figure_7_every_follower_gets_the_leaders_log(follower: tuple[int, ...]) -> None:
    """A leader forces followers to duplicate its log: conflicting entries are overwritten (§3.5)."""
    cluster = cluster_with(LEADER, follower, LEADER, term=7)
    assert cluster.campaign(1, 3)
    cluster.pass_time(20)
    assert cluster.terms(2) == [*LEADER, 8]
    assert cluster.terms(2) == cluster.terms(1) == cluster.terms(3)


@pytest.mark.parametrize(
    ("follower", "previous"),
    list(zip(FOLLOWERS.values(), [(10, 9), (10, 4), (10,), (10,), (10, 5), (10, 3)], strict=True)),
    ids=FOLLOWERS.keys(),
)
def test_figure_7_every_follower_is_asked_at_most_twice_where_it_agrees(
    follower: tuple[int, ...], previous: tuple[int, ...]
) -> None:
    """The leader decrements nextIndex and retries (§3.5); after one answer it knows where to go on."""
    cluster = cluster_with(LEADER, follower, LEADER, term=7)
    assert cluster.campaign(1, 3)
    asked = []
    is_busy = True
    while is_busy:
        for envelope in cluster.network[:1]:
            if envelope.dest == 2 and isinstance(envelope.payload, AppendEntries):
                asked.append(envelope.payload.previous_index)
        is_busy = cluster.do_one()
    assert tuple(asked) == previous
    assert cluster.terms(2) == [*LEADER, 8]


@pytest.mark.parametrize(
    ("longer", "behind"),
    [
        ((1,) * 3 + (4,) * 60 + (5,) * 60, (1,) * 3 + (2,) * 60 + (3,) * 60),  # the leader skips its newer terms
        ((1,) * 63, (1,) * 3 + (2,) * 60),  # the follower skips its own
    ],
)
def test_figure_7_going_back_takes_one_message_a_term_and_not_one_an_entry(
    longer: tuple[int, ...], behind: tuple[int, ...]
) -> None:
    """If desired, the protocol can be optimized to reduce the number of rejected AppendEntries (§3.5)."""
    cluster = cluster_with(longer, behind, longer)
    newest = cluster.raft(1).term
    assert cluster.campaign(1, 3)
    rejections = 0
    is_busy = True
    while is_busy:
        rejections += bool(cluster.network) and isinstance(cluster.network[0].payload, AppendRejected)
        is_busy = cluster.do_one()
    assert cluster.terms(2) == [*longer, newest + 1]
    assert rejections <= 3


def test_a_repeated_append_writes_nothing_though_it_holds_the_last_entry() -> None:
    """Figure 3.1, receiver, step 4: append any new entries not already in the log; here there are none."""
    cluster = cluster_with((1, 1, 1), (1,), (1, 1, 1), term=1)
    entries = tuple(Entry(Term(1), EntryKind.COMMAND, b"1") for _ in range(2))
    append = AppendEntries(Term(2), Index(1), Term(1), Index(0), entries)
    cluster.send(1, 2, append)
    effects = cluster.deliver_to(1, 2, append)
    (persist,) = (effect for effect in effects if isinstance(effect, Persist))
    assert persist.records == ()
    assert [send.payload for send in persist.then] == [AppendAccepted(Term(2), Index(3))]


def test_entries_that_the_store_took_from_the_log_are_skipped() -> None:
    """§3.5, chapter 5: a late append may begin before a log that was compacted; what is left of it fits behind."""
    cluster = cluster_with((), (), ())
    cluster.crash(2)
    node = cluster.nodes[NodeId(2)]
    old, new = ([Entry(Term(1), EntryKind.COMMAND, text.encode()) for text in texts] for texts in ("abc", "de"))
    node.store.applied += old
    node.store.checkpoint = len(old)
    cluster.start(2)
    assert cluster.terms(2) == []
    for entries, last in (((*old, *new), 5), (old, 3)):
        cluster.drop()
        cluster.send(1, 2, AppendEntries(Term(1), Index(0), Term(0), Index(0), tuple(entries)))
        assert [envelope.payload for envelope in cluster.network] == [AppendAccepted(Term(1), Index(last))]
    assert node.disk.run() == tuple(new)


def test_a_follower_stops_when_its_leader_contradicts_itself() -> None:
    """Leader Append-Only (figure 3.2): a leader never overwrites its log, so this one is broken or lies."""
    cluster = cluster_with((), (), ())
    entry, other = Entry(Term(1), EntryKind.COMMAND, b"a"), Entry(Term(2), EntryKind.COMMAND, b"b")
    cluster.send(1, 2, AppendEntries(Term(2), Index(0), Term(0), Index(0), (entry,)))
    with pytest.raises(InvariantError, match="Log Matching"):
        cluster.send(1, 2, AppendEntries(Term(2), Index(0), Term(0), Index(0), (other,)))


@pytest.mark.parametrize(
    ("candidate", "voter", "granted"),
    [
        ((1, 1, 2), (1, 1, 1), True),  # a later last term
        ((1, 2), (1, 1, 1, 1), True),  # … however short the log
        ((1, 1, 1), (1, 1), True),  # the same last term, longer
        ((1, 1), (1, 1), True),  # the same
        ((1, 1), (1, 1, 1), False),  # shorter
        ((1, 1, 1, 1), (1, 2), False),  # an earlier last term, however long the log
    ],
)
def test_a_voter_denies_its_vote_if_its_own_log_is_more_up_to_date(
    candidate: tuple[int, ...], voter: tuple[int, ...], granted: bool
) -> None:
    """§3.6.1: the log with the later last term is more up to date; with equal terms the longer one."""
    cluster = cluster_with((), voter, ())
    raft = cluster.raft(2)
    request = RequestVote(Term(9), Index(len(candidate)), Term(candidate[-1]), leader_agrees=True)
    effects = raft.step(Message(0, NodeId(1), request))
    promised = [send.payload for effect in effects if isinstance(effect, Persist) for send in effect.then]
    assert bool(promised) is granted


def test_figure_8_an_entry_of_an_old_term_on_a_majority_may_still_be_replaced() -> None:
    """Paper, figure 8 (dissertation 3.7), (c) and (d): S1 leads term 4 and copies its entry of term 2 to S3; S5,
    with an entry of term 3, can still win and overwrite it; so S1 must not have committed it."""
    cluster = cluster_with((1, 2), (1, 2), (1,), (1,), (1, 3))
    assert cluster.campaign(1, 2, 3)  # (c) S1, in term 4 here too
    leader = cluster.raft(1)._state
    assert cluster.terms(1) == [1, 2, 4]
    entry = leader.log.read(2, last=2, size_max=100)
    cluster.drop()
    assert entry is not None
    for follower in (2, 3):
        message = AppendEntries(leader.term, Index(1), Term(1), leader.commit, entry)
        cluster.send(1, follower, message)
        for answer in cluster.under_way(AppendAccepted):
            cluster.send(follower, 1, answer.payload)
        cluster.drop()
    assert [cluster.terms(node)[1] for node in (1, 2, 3)] == [2, 2, 2]
    assert leader.commit == 0

    cluster.crash(1)  # (d) S5 is elected by S2, S3 and S4
    assert not cluster.campaign(5, 2, 3, 4)  # it learns of term 4
    assert cluster.campaign(5, 2, 3, 4)
    cluster.pass_time(10)
    assert cluster.terms(3)[:2] == [1, 3]


def test_figure_8_an_entry_of_the_own_term_on_a_majority_commits_all_before_it() -> None:
    """(e): once an entry of term 4 is on a majority, S5 cannot win."""
    cluster = cluster_with((1, 2), (1, 2), (1,), (1,), (1, 3))
    assert cluster.campaign(1, 2, 3)
    cluster.cut([1, 2, 3], [4, 5])
    cluster.pass_time(6)
    assert cluster.raft(1).commit == 3
    cluster.crash(1)
    cluster.heal()
    for _ in range(3):
        assert not cluster.campaign(5, 2, 3, 4)
    assert cluster.campaign(3, 2, 4)
