"""What a group answers when it ceased to lead between a question and its answer."""

from random import Random

from libelli.core.calls import ClientHello, KeepAlive, Refusal, replies_decoder
from libelli.core.codec import encode
from libelli.core.effects import Read
from libelli.core.errors import Code
from libelli.core.ids import DEFAULT_COLLECTION, DEFAULT_GROUP, ClusterId, Index, NodeId
from libelli.core.members import Configuration, Member
from libelli.host.identity import Identity
from libelli.host.log import RecoveredLog
from libelli.host.node import Node
from libelli.host.options import NodeOptions
from libelli.host.waiters import KeepAliveWaiter, QueryBatch
from libelli.host.world import SendClient
from libelli.stores.memory import MemoryCheckpoint

MEMBERS = Configuration(tuple(Member(NodeId(node), f"n{node}", "here", f"h{node}:1", "") for node in (1, 2, 3)))


def test_a_former_leader_does_not_say_that_a_lease_is_gone() -> None:
    node = Node(
        identity=Identity(ClusterId("a" * 32), NodeId(2), "n2", "here"),
        log=RecoveredLog(ClusterId("a" * 32), 2, {}, [], 1),
        checkpoints={DEFAULT_GROUP: MemoryCheckpoint()},
        founding=MEMBERS,
        random=Random(1),
        options=NodeOptions(),
    )
    node.client_connected(1, "alice")
    node.receive_client(1, encode(ClientHello()))
    node.step(0)
    group = node.group()
    waiter = group.wait(QueryBatch([KeepAliveWaiter(1, KeepAlive(5, DEFAULT_COLLECTION, 7))]))
    group._carry_out(Read((waiter,), Index(0)), 0)
    bodies = [effect.body for effect in node.step(1) if isinstance(effect, SendClient)]
    (reply,) = (reply for body in bodies for reply in replies_decoder.decode(body))
    assert isinstance(reply, Refusal)
    assert reply.code is Code.NO_LEADER
