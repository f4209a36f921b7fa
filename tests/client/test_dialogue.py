"""What a dialogue makes of refusals, lost connections, silence and late answers."""

from typing import Any

import pytest

from libelli.client.options import DialogueOptions
from libelli.client.questions import AtAnybody, AtLeader, AtNode, Told
from libelli.core.calls import (
    Call,
    ChangeMember,
    Consistency,
    Done,
    GetStatus,
    KeepAlive,
    KeptAlive,
    OpenSession,
    Read,
    Refusal,
    Write,
)
from libelli.core.codec import encode
from libelli.core.errors import Code, DidNotHappen, MayHaveHappened, Overloaded, Refused, Unavailable
from libelli.core.ids import DEFAULT_COLLECTION, NodeId
from libelli.core.limits import MIB, VALUE_SIZE_MAX
from libelli.core.members import Member
from libelli.stores.mvcc.commands import Failed, KeyValue, Put, PutDone, Range, RangeDone
from tests.client.cluster import Deafness, FakeCluster, Silence, commands_decoder
from tests.client.world import World


def refuse_once(code: Code, *, kind: type[Any], node: int | None = None) -> Any:
    """A mood: the first call of a kind is refused."""
    done: list[Call] = []

    def mood(at: int, call: Call) -> Any:
        if isinstance(call, kind) and not done and node in (None, at):
            done.append(call)
            return Refusal(call.call, code, f"{code.name} for a test")
        return None

    return mood


def test_a_put_is_answered_with_its_revision() -> None:
    world = World(FakeCluster())
    world.put("a")
    assert world.outcome("a") == PutDone(2)


@pytest.mark.parametrize("endpoint", ["host1:1", "host2:1", "host3:1"])
def test_the_leader_is_found_from_any_node(endpoint: str) -> None:
    world = World(FakeCluster(leader=2), endpoints=(endpoint,))
    world.put("a")
    assert isinstance(world.outcome("a"), PutDone)
    assert len(world.dialled) <= 2


def test_a_dead_endpoint_does_not_hold_up_the_others() -> None:
    world = World(FakeCluster(leader=3))
    world.down = {1, 2}
    world.put("a")
    assert isinstance(world.outcome("a"), PutDone)
    assert world.now_ms < 3_000


def test_an_address_that_never_answers_does_not_hold_up_the_others() -> None:
    for seed in range(6):
        world = World(FakeCluster(leader=3), seed=seed)
        world.black_holes = {1, 2}
        world.put("a", timeout_ms=30_000)
        assert isinstance(world.outcome("a"), PutDone)
        assert world.now_ms < 3_000


def test_a_leader_that_went_silent_is_replaced_within_seconds() -> None:
    cluster = FakeCluster(leader=1)
    world = World(cluster)
    world.put("a")
    world.outcome("a")
    cluster.mood = lambda node, _call: Deafness() if node == 1 else None
    cluster.leader = 2
    world.black_holes = {1}
    world.put("b", timeout_ms=30_000)
    began_ms = world.now_ms
    assert isinstance(world.outcome("b"), PutDone)
    assert world.now_ms - began_ms < 4_000


def test_a_redirect_leads_to_the_new_leader() -> None:
    cluster = FakeCluster(leader=1)
    world = World(cluster)
    world.put("a")
    world.outcome("a")
    cluster.leader = 3
    world.put("b")
    assert isinstance(world.outcome("b"), PutDone)
    assert len(cluster.applied) == 2


def test_a_cluster_without_leader_is_asked_until_it_has_one() -> None:
    cluster = FakeCluster(leader=0)
    world = World(cluster)
    world.put("a")
    world.run_for(2_000)
    assert world.outcomes == {}
    cluster.leader = 2
    assert isinstance(world.outcome("a"), PutDone)
    asked = [call for _, call in cluster.calls if isinstance(call, OpenSession)]
    assert len(asked) < 60, "asked without a pause"


def test_a_frame_whose_answer_is_lost_is_sent_again_and_applied_once() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    world.put("a")
    world.outcome("a")
    cluster.mood = lambda _, call: Silence() if isinstance(call, Write) else None
    world.put("b")
    world.run(lambda: len(cluster.applied) == 2)
    world.cut(1)
    cluster.mood = lambda _node, _call: None
    assert world.outcome("b") == PutDone(3)
    assert len(cluster.applied) == 2
    assert cluster.frames[1] == cluster.frames[2], "another session or sequence"


def test_frames_in_flight_survive_the_death_of_the_leader_in_their_order() -> None:
    cluster = FakeCluster(leader=1)
    world = World(cluster)
    world.put("first")
    world.outcome("first")
    cluster.mood = lambda node, call: Silence() if isinstance(call, Write) and node == 1 else None
    for number in range(5):
        world.put(f"k{number}")
        world.run_for(1)
    world.run(lambda: len(cluster.applied) >= 4)
    world.kill(1)
    world.run_for(100)
    cluster.leader = 2
    world.run(lambda: len(world.outcomes) == 6)
    assert all(isinstance(outcome, PutDone) for outcome in world.outcomes.values())
    assert [each.key for each in cluster.applied] == [b"first", b"k0", b"k1", b"k2", b"k3", b"k4"]


def test_a_frame_that_is_out_of_order_follows_the_one_before_it() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    world.put("first")
    world.outcome("first")
    cluster.mood = refuse_once(Code.OVERLOADED, kind=Write)
    world.put("a")
    world.run_for(0)
    world.put("b")
    world.run(lambda: len(world.outcomes) == 3)
    assert [each.key for each in cluster.applied] == [b"first", b"a", b"b"]


def test_overloaded_is_tried_again_after_a_pause() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    world.put("a")
    world.outcome("a")
    dialled = list(world.dialled)
    cluster.mood = refuse_once(Code.OVERLOADED, kind=Write)
    world.put("b")
    world.outcome("b")
    assert len(cluster.applied) == 2
    assert world.dialled == dialled, "an overloaded leader still leads"


def test_an_expired_session_leaves_open_what_was_sent_before() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    world.put("a")
    world.outcome("a")
    cluster.mood = lambda _, call: Deafness() if isinstance(call, Write) else None
    world.put("b")
    world.run_for(10)
    world.cut(1)
    cluster.sessions.clear()
    cluster.mood = lambda _node, _call: None
    world.put("c")
    outcome = world.outcome("b")
    assert isinstance(outcome, MayHaveHappened)
    assert outcome.code is Code.SESSION_EXPIRED
    assert isinstance(world.outcome("c"), PutDone), "what was never sent begins a new session"


def test_an_expired_session_is_replaced_for_what_certainly_did_not_happen() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    world.put("a")
    world.outcome("a")
    cluster.sessions.clear()
    world.put("b")
    assert isinstance(world.outcome("b"), PutDone)
    assert [each.key for each in cluster.applied] == [b"a", b"b"]


def test_what_was_not_sent_in_time_did_not_happen() -> None:
    world = World(FakeCluster())
    world.down = {1, 2, 3}
    world.put("a", timeout_ms=700)
    outcome = world.outcome("a")
    assert isinstance(outcome, DidNotHappen)
    assert "connection refused" in str(outcome)
    assert world.now_ms == 1_700


def test_what_was_sent_and_not_answered_in_time_may_have_happened() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    world.put("a")
    world.outcome("a")
    cluster.mood = lambda _, call: Deafness() if isinstance(call, Write) else None
    world.put("b", timeout_ms=700)
    outcome = world.outcome("b")
    assert isinstance(outcome, MayHaveHappened)
    assert outcome.code is Code.TIMED_OUT


def test_a_write_given_up_does_not_happen_later() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    world.put("a")
    world.outcome("a")
    cluster.mood = lambda _, call: Deafness() if isinstance(call, Write) else None
    world.put("b", timeout_ms=500)
    world.outcome("b")
    cluster.mood = lambda _node, _call: None
    world.cut(1)
    world.put("c")
    assert isinstance(world.outcome("c"), PutDone)
    assert [each.key for each in cluster.applied] == [b"a", b"c"]


def test_a_silent_node_is_given_up_and_its_frames_go_elsewhere() -> None:
    cluster = FakeCluster(leader=1)
    world = World(cluster)
    world.put("a")
    world.outcome("a")
    cluster.mood = lambda node, _call: Deafness() if node == 1 else None
    world.put("b", timeout_ms=30_000)
    world.run_for(100)
    cluster.leader = 2
    assert isinstance(world.outcome("b"), PutDone)


def test_a_refused_request_says_why_and_spares_its_neighbours() -> None:
    world = World(FakeCluster())
    with pytest.raises(Refused) as caught:
        world.submit(Put(b"a", b"x" * (VALUE_SIZE_MAX + 1)), "a")
    assert caught.value.code is Code.TOO_LARGE
    world.put("b")
    assert isinstance(world.outcome("b"), PutDone)


def test_a_frame_refused_for_good_ends_its_calls_and_the_next_ones_go_on() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    world.put("a")
    world.outcome("a")
    cluster.mood = refuse_once(Code.DENIED, kind=Write)
    world.put("b")
    world.run_for(0)
    world.put("c")
    assert isinstance(world.outcome("b"), Refused)
    assert isinstance(world.outcome("c"), PutDone)


def test_too_many_waiting_commands_are_refused_at_once() -> None:
    world = World(FakeCluster(leader=0), options=DialogueOptions(pending_commands_max=10))
    for number in range(10):
        world.put(f"k{number}")
    with pytest.raises(Overloaded):
        world.put("k10")


def test_reads_are_asked_again_after_a_lost_connection() -> None:
    cluster = FakeCluster(leader=1)
    world = World(cluster)
    world.put("a")
    world.outcome("a")
    cluster.mood = lambda node, call: Deafness() if isinstance(call, Read) and node == 1 else None
    world.submit(Range(b"a"), "read")
    world.run_for(10)
    world.kill(1)
    cluster.leader = 2
    answer = world.outcome("read")
    assert isinstance(answer, RangeDone)
    assert [item.key for item in answer.items] == [b"a"]


def test_an_unanswered_read_did_not_change_anything() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    cluster.mood = lambda _, call: Deafness() if isinstance(call, Read) else None
    world.submit(Range(b"a"), "read", timeout_ms=400)
    assert isinstance(world.outcome("read"), Unavailable)


def test_a_serializable_read_needs_no_leader() -> None:
    cluster = FakeCluster(leader=0)
    world = World(cluster)
    cluster.mood = lambda _, call: (
        Done(call.call, encode([RangeDone(1, 0, False, ())])) if isinstance(call, Read) else None
    )
    world.submit(Range(b"a"), "read", consistency=Consistency.SERIALIZABLE)
    assert isinstance(world.outcome("read"), RangeDone)


def test_a_node_may_answer_only_the_first_reads_of_a_frame() -> None:
    cluster = FakeCluster()
    world = World(cluster)

    def mood(_node: int, call: Call) -> Any:
        if isinstance(call, Read):
            return Done(call.call, encode([RangeDone(len(cluster.calls), 0, False, ())]))
        return None

    cluster.mood = mood
    for number in range(3):
        world.submit(Range(b"k%d" % number), number)
    world.run(lambda: len(world.outcomes) == 3)


def test_a_read_that_found_no_room_beside_others_is_asked_again_alone() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    frames: list[int] = []

    def mood(_node: int, call: Call) -> Any:
        if not isinstance(call, Read):
            return None
        count = len(commands_decoder.decode(call.commands))
        frames.append(count)
        full = Failed(Code.TOO_LARGE, "no room is left")
        return Done(call.call, encode([RangeDone(7, 0, False, ()), *[full] * (count - 1)]))

    cluster.mood = mood
    for number in range(3):
        world.submit(Range(b"k%d" % number), number)
    world.run(lambda: len(world.outcomes) == 3)
    assert all(isinstance(outcome, RangeDone) for outcome in world.outcomes.values())
    assert frames == [3, 2, 1]


def test_a_read_that_is_too_large_by_itself_says_so() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    full = Failed(Code.TOO_LARGE, "no room is left")
    cluster.mood = lambda _, call: Done(call.call, encode([full])) if isinstance(call, Read) else None
    world.submit(Range(b"a"), "read")
    assert world.outcome("read") == full


def test_after_a_large_answer_fewer_reads_share_a_frame() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    cluster.run(Put(b"large", b"v" * MIB))
    world.submit(Range(b"large"), "first")
    world.outcome("first")
    for number in range(24):
        world.submit(Range(b"large"), number)
    world.run(lambda: len(world.outcomes) == 25)
    reads = [call for _, call in cluster.calls if isinstance(call, Read)]
    assert max(len(commands_decoder.decode(call.commands)) for call in reads) <= 4


@pytest.mark.parametrize(
    "body",
    [b"\xc1", b"", encode([Done(3, b"\xc1")]), encode([[99, 1, 2]]), encode([Done(3, encode([PutDone(1)] * 9))])],
)
def test_garbage_ends_the_connection_and_nothing_else(body: bytes) -> None:
    cluster = FakeCluster(nodes=1)
    world = World(cluster, endpoints=("host1:1",))
    world.put("a")
    world.outcome("a")
    cluster.mood = lambda _, call: Deafness() if isinstance(call, Write) else None
    world.put("b")
    world.run_for(5)
    world.inject(1, body)
    world.run_for(5)
    cluster.mood = lambda _node, _call: None
    assert isinstance(world.outcome("b"), PutDone)


def test_a_node_of_another_cluster_is_refused_with_both_names() -> None:
    world = World(FakeCluster(name="d" * 32), name="c" * 32)
    world.put("a")
    outcome = world.outcome("a")
    assert isinstance(outcome, Refused)
    assert "d" * 32 in str(outcome)


def test_after_all_nodes_were_hopeless_the_next_call_tries_again() -> None:
    cluster = FakeCluster(name="d" * 32)
    world = World(cluster, name="c" * 32)
    world.put("a")
    assert isinstance(world.outcome("a"), Refused)
    cluster.name = "c" * 32
    world.put("b")
    assert isinstance(world.outcome("b"), PutDone)


def test_a_node_whose_certificate_names_another_is_left() -> None:
    cluster = FakeCluster(nodes=1)
    world = World(cluster, endpoints=("host1:1",))
    world.peers[1] = "n2"
    world.put("a", timeout_ms=1_000)
    outcome = world.outcome("a")
    assert isinstance(outcome, Refused)
    assert "n2" in str(outcome)
    assert cluster.calls == []


def test_closing_ends_what_waits_and_refuses_what_follows() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    world.put("a")
    world.outcome("a")
    cluster.mood = lambda _, call: Deafness() if isinstance(call, Write) else None
    world.put("sent")
    world.run_for(5)
    world.dialogue.close()
    world.step()
    assert isinstance(world.outcomes["sent"], MayHaveHappened)
    with pytest.raises(Unavailable):
        world.put("late")


def test_single_calls_find_the_leader_and_any_node() -> None:
    world = World(FakeCluster(leader=2))

    def ask(waiter: str, build: Any, whom: Any, *, repeatable: bool = True) -> Any:
        world.dialogue.ask(build, waiter, whom=whom, timeout_ms=1_000, repeatable=repeatable)
        world.after(0, world.step)
        return world.outcome(waiter)

    leader = AtLeader(DEFAULT_COLLECTION)
    kept = ask("lease", lambda call: KeepAlive(call, DEFAULT_COLLECTION, 5), leader)
    assert isinstance(kept, Told)
    assert isinstance(kept.reply, KeptAlive)
    assert ask("any", GetStatus, AtAnybody(DEFAULT_COLLECTION)).reply.name
    assert ask("one", GetStatus, AtNode(NodeId(3))).reply.name == "n3"
    missing = ask("none", GetStatus, AtNode(NodeId(9)))
    assert missing.code is Code.MEMBER_NOT_FOUND


def test_a_change_of_members_is_not_repeated_when_its_answer_is_lost() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    cluster.mood = lambda _, call: Deafness() if isinstance(call, ChangeMember) else None
    change = lambda call: ChangeMember(call, "remove", Member(NodeId(3), ""))  # noqa: E731
    world.dialogue.ask(change, "x", whom=AtLeader(DEFAULT_COLLECTION), timeout_ms=5_000, repeatable=False)
    world.after(0, world.step)
    world.run(lambda: any(isinstance(call, ChangeMember) for _, call in cluster.calls))
    world.cut(1)
    assert isinstance(world.outcome("x"), MayHaveHappened)
    assert len([call for _, call in cluster.calls if isinstance(call, ChangeMember)]) == 1


def test_a_node_that_cannot_be_reached_in_time_is_named() -> None:
    world = World(FakeCluster())
    world.put("a")
    world.outcome("a")
    world.black_holes = {3}
    world.dialogue.ask(GetStatus, "x", whom=AtNode(NodeId(3)), timeout_ms=500, repeatable=True)
    world.after(0, world.step)
    outcome = world.outcome("x")
    assert isinstance(outcome, Unavailable)
    assert "host3:1" in str(outcome)


def test_writes_with_large_answers_share_frames_by_the_few() -> None:
    cluster = FakeCluster()
    world = World(cluster)
    world.put("a")
    world.outcome("a")

    def mood(_node: int, call: Call) -> Any:
        if not isinstance(call, Write):
            return None
        commands = commands_decoder.decode(call.commands)
        cluster.frames.append((len(commands), call.sequence))
        large = PutDone(2, KeyValue(b"a", b"v" * MIB, 1, 1, 1))
        return Done(call.call, encode([large] * len(commands)))

    cluster.mood = mood
    world.submit(Put(b"a", b"", previous=True), "first")
    world.outcome("first")
    cluster.frames.clear()
    for number in range(12):
        world.submit(Put(b"a", b"", previous=True), number)
    world.run(lambda: len(world.outcomes) == 14)
    assert max(count for count, _ in cluster.frames) <= 4
