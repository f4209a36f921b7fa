"""Calls as they stand on the wire, put to a node by hand."""

from libelli.core.calls import ClientHello, Refusal, Reply, Watch, Watching, replies_decoder
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
    node, kernel = scene.leader.node, scene.world.kernel
    node.client_connected(CONNECTION, "somebody")
    node.receive_client(CONNECTION, encode(ClientHello()))
    node.step(kernel.now_ms)
    for _ in range(2):
        watching = replies(node, kernel.now_ms, Watch(7, DEFAULT_COLLECTION, b"k"))
        assert [type(answer) for answer in watching] == [Watching]
        node.client_full(CONNECTION, is_full=True)  # it reads nothing while history goes on and is forgotten
        scene.puts(5)
        scene.ask(Compact(node.group().machine.store.revision))
        node.client_full(CONNECTION, is_full=False)
        answers = replies(node, kernel.now_ms)
        assert [answer.code for answer in answers if isinstance(answer, Refusal)] == [Code.COMPACTED]
