"""What a group answers when it ceased to lead between a question and its answer."""

from libelli.core.calls import ClientHello, KeepAlive, Refusal, replies_decoder
from libelli.core.codec import encode
from libelli.core.effects import Read
from libelli.core.errors import Code
from libelli.core.ids import DEFAULT_COLLECTION, Index
from libelli.host.waiters import KeepAliveWaiter, QueryBatch
from libelli.host.world import SendClient
from tests.host.nodes import fresh_node


def test_a_former_leader_does_not_say_that_a_lease_is_gone() -> None:
    node = fresh_node()
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
