"""Whatever a node says, a dialogue neither breaks nor believes it was answered when it was not."""

from random import Random
from typing import Any

import pytest

from libelli.core.calls import (
    Changes,
    Digest,
    Done,
    KeptAlive,
    Refusal,
    Reply,
    SessionOpened,
    SnapshotPart,
    Watch,
    Watching,
    Welcome,
)
from libelli.core.codec import encode
from libelli.core.errors import CallError, Code
from libelli.core.ids import DEFAULT_COLLECTION, NodeId, SessionId
from libelli.stores.mvcc.commands import Failed, PutDone, Range, RangeDone
from tests.client.cluster import FakeCluster
from tests.client.world import World

ANSWERS: tuple[Any, ...] = (PutDone(-1), RangeDone(0, 0, True, ()), Failed(Code.OK, ""), 7, None)


def some_reply(random: Random, cluster: FakeCluster) -> Reply:
    """A reply that decodes, with a number that may be somebody's."""
    call = random.randint(-1, 30)
    answers = encode([random.choice(ANSWERS) for _ in range(random.randint(0, 3))])
    return random.choice(
        (
            SessionOpened(call, SessionId(random.randint(-1, 3))),
            Done(call, answers),
            Done(call, random.randbytes(4)),
            Refusal(call, random.choice(list(Code)), "", NodeId(random.randint(-1, 5)), random.randint(-1, 9)),
            Watching(call, random.randint(-1, 99)),
            Changes(call, random.randint(-1, 9), answers),
            KeptAlive(call, 5),
            cluster.status(random.randint(1, 3), call),
            SnapshotPart(call, 1, b"", b""),
            Digest(call, 1, b"", 0),
        )
    )


def some_body(random: Random, cluster: FakeCluster) -> bytes:
    match random.randrange(4):
        case 0:
            return random.randbytes(random.randint(0, 20))
        case 1:
            good = encode([some_reply(random, cluster)])
            return good[: random.randint(0, len(good))]
        case 2:
            return encode(Welcome("x", NodeId(random.randint(-1, 4)), random.randint(0, 3)))
    return encode([some_reply(random, cluster) for _ in range(random.randint(0, 4))])


@pytest.mark.parametrize("number", range(40))
def test_a_dialogue_survives_what_nodes_say_and_ends_every_call(seed: int, number: int) -> None:
    random = Random(seed + number)
    cluster = FakeCluster(leader=random.randint(1, 3))
    world = World(cluster, seed=number)
    world.watch(Watch(0, DEFAULT_COLLECTION, b"\0", b"\0"), "watch")
    for each in range(30):
        world.put(f"k{each}", timeout_ms=2_000)
        world.submit(Range(b"k"), f"read {each}", timeout_ms=2_000)
        for node in (1, 2, 3):
            if random.random() < 0.5:
                world.inject(node, some_body(random, cluster))
        world.run_for(random.randint(0, 30))
    world.run(lambda: len(world.outcomes) == 60)
    assert all(isinstance(each, PutDone | RangeDone | Failed | CallError) for each in world.outcomes.values())
    world.put("afterwards")
    assert isinstance(world.outcome("afterwards"), PutDone)
