"""Comparing replicas: a difference is named, and nothing else is taken for one."""

from libelli.core.codec import encode
from libelli.core.entries import Entry, EntryKind
from libelli.core.ids import Index, NodeId, Term
from libelli.core.members import Configuration
from libelli.host.comparison import Comparison
from libelli.host.machine import Machine
from libelli.host.stamps import FrameEntry, stamp
from libelli.stores.memory import MemoryCheckpoint
from libelli.stores.mvcc.commands import Compact, Put

NODE = NodeId(2)


def machine_with(*values: bytes, keys: int = 7) -> Machine:
    """A machine with keys whose values are the last of `values`."""
    machine = Machine(MemoryCheckpoint(), founding=Configuration(()))
    for value in values:
        commands = [Put(b"key %d" % number, value) for number in range(keys)]
        frame = FrameEntry(0, False, 0, 0, 0, encode(commands))
        machine.apply(Index(machine.applied + 1), Entry(Term(1), EntryKind.COMMAND, stamp(frame)))
    return machine


def test_replicas_that_hold_the_same_agree_in_all_parts() -> None:
    leader, follower = Comparison(machine_with(b"v"), keys=3), Comparison(machine_with(b"v"), keys=3)
    for _ in range(7):
        answer = follower.answer(leader.next())
        assert answer is not None
        assert leader.why_differs(NODE, answer) is None
    assert leader.compared_keys == 17


def test_a_replica_that_has_gone_on_answers_for_the_revision_that_was_asked() -> None:
    leader, follower = Comparison(machine_with(b"v"), keys=9), Comparison(machine_with(b"v", b"w"), keys=9)
    answer = follower.answer(leader.next())
    assert answer is not None
    assert leader.why_differs(NODE, answer) is None


def test_a_replica_that_holds_something_else_is_named() -> None:
    leader, follower = Comparison(machine_with(b"v"), keys=9), Comparison(machine_with(b"x"), keys=9)
    answer = follower.answer(leader.next())
    assert answer is not None
    assert "node 2 holds other data than the leader at revision 8" in (leader.why_differs(NODE, answer) or "")


def test_a_replica_that_lacks_the_revision_says_nothing() -> None:
    question = Comparison(machine_with(b"v", b"w"), keys=9).next()
    assert Comparison(machine_with(b"v"), keys=9).answer(question) is None


def test_a_replica_that_has_compacted_the_revision_says_nothing() -> None:
    question = Comparison(machine_with(b"v"), keys=9).next()
    later = machine_with(b"v", b"w")
    later.store.apply([Compact(12)])
    assert Comparison(later, keys=9).answer(question) is None


def test_an_answer_to_a_question_of_the_leaders_last_life_is_no_difference() -> None:
    """Numbers begin again with each life; the answer came late, to the same number, about another revision."""
    old, follower = Comparison(machine_with(b"v"), keys=9), Comparison(machine_with(b"v", b"w"), keys=9)
    late = follower.answer(old.next())
    leader = Comparison(machine_with(b"v", b"w"), keys=9)
    leader.next()
    assert late is not None
    assert leader.why_differs(NODE, late) is None
