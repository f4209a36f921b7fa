"""Calls as they stand on the wire, put to a node by hand."""

from libelli.core.calls import ClientHello, Refusal, Reply, Watch, replies_decoder
from libelli.core.codec import encode
from libelli.core.errors import Code
from libelli.core.ids import DEFAULT_COLLECTION
from libelli.host.node import Node
from libelli.host.world import SendClient
from libelli.stores.mvcc.commands import Compact
from tests.sim.scenes import Scene

CONNECTION = 4_711


def replies(node: Node, now_ms: int, *calls: object) -> list[Reply]:
    """Puts a frame of calls to a node, and returns what it answers in a few steps."""
    if calls:
        node.receive_client(CONNECTION, encode(calls))
    effects = [effect for _ in range(4) for effect in node.step(now_ms)]
    bodies = [effect.body for effect in effects if isinstance(effect, SendClient) and effect.connection == CONNECTION]
    return [reply for body in bodies for reply in replies_decoder.decode(body)]


def test_the_number_of_a_watch_that_ended_by_itself_may_be_used_again() -> None:
    scene = Scene()
    scene.puts(5)
    scene.ask(Compact(5))
    node, now_ms = scene.leader.node, scene.world.kernel.now_ms
    node.client_connected(CONNECTION, "somebody")
    node.receive_client(CONNECTION, encode(ClientHello()))
    node.step(now_ms)
    for _ in range(2):
        answers = replies(node, now_ms, Watch(7, DEFAULT_COLLECTION, b"k", start_revision=2))
        assert [answer.code for answer in answers if isinstance(answer, Refusal)] == [Code.COMPACTED]
