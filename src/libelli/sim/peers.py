"""A simulated process's streams to other nodes: one for each pair, dialled by the lower number."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from libelli.core.codec import encode
from libelli.core.errors import CodecError
from libelli.core.ids import NodeId
from libelli.host.identity import Identity
from libelli.host.peering import hello_of, peer_hello_decoder, why_refuse_peer
from libelli.sim.kernel import MS

if TYPE_CHECKING:
    from libelli.sim.network import End, Network

REDIAL_US = 100 * MS
DIAL_TIMEOUT_US = 1_000 * MS


class Peers:
    """The streams of one life of a process.

    Args:
        network: where they run.
        identity: of this node.
        host: where it is.
        is_unruly: see `network`.
        receive: takes a frame of another node.
    """

    def __init__(
        self,
        network: "Network",
        *,
        identity: Identity,
        host: str,
        is_unruly: bool,
        receive: Callable[[NodeId, bytes], object],
    ) -> None:
        self._network = network
        self._identity = identity
        self._host = host
        self._is_unruly = is_unruly
        self._receive = receive
        self._addresses: dict[NodeId, str] = {}
        self._ends: dict[NodeId, End] = {}
        self._tries: dict[NodeId, int] = {}
        self._is_closed = False

    def keep(self, peers: tuple[tuple[NodeId, str, str], ...]) -> None:
        """Keeps streams to these nodes and to no others."""
        self._addresses = {node: address for node, _, address in peers}
        for node in sorted(self._ends):
            if node not in self._addresses:
                self._ends.pop(node).close("not a member")
        for node in sorted(self._addresses):
            if node not in self._ends:
                self._dial(node)

    def send(self, node: NodeId, body: bytes) -> None:
        """Sends a frame, or drops it when there is no stream."""
        if (end := self._ends.get(node)) is not None:
            end.send(body)

    def close(self) -> None:
        """The process is gone."""
        self._is_closed = True
        for node in sorted(self._ends):
            self._ends[node].drop()
        self._ends.clear()

    # ── dialling ──────────────────────────────────────────────────────────────────────────────────────────

    def _dial(self, node: NodeId) -> None:
        address = self._addresses.get(node)
        if self._is_closed or address is None or node < self._identity.node or node in self._ends:
            return
        number = self._tries[node] = self._tries.get(node, 0) + 1
        self._network.dial(
            address,
            host=self._host,
            is_unruly=self._is_unruly,
            connected=lambda end: self._connected(node, number, end),
            refused=lambda _: self._redial(node, number),
        )
        self._network.kernel.after(DIAL_TIMEOUT_US, self._redial, node, number)

    def _redial(self, node: NodeId, number: int) -> None:
        if self._tries.get(node) == number and node not in self._ends:
            self._tries[node] += 1  # whatever comes of the old try is too late
            self._network.kernel.after(REDIAL_US, self._dial, node)

    def _connected(self, node: NodeId, number: int, end: "End") -> None:
        if self._is_closed or self._tries.get(node) != number or node not in self._addresses:
            end.close("given up")
            return
        end.on_body = lambda body: self._meet(end, body, expected=node)
        end.on_lost = lambda _: self._redial(node, number)
        end.send(encode(hello_of(self._identity)), is_orderly=True)

    def accept(self, end: "End") -> None:
        """Somebody dialled."""
        end.on_body = lambda body: self._meet(end, body, expected=None)

    # ── meeting ───────────────────────────────────────────────────────────────────────────────────────────

    def _meet(self, end: "End", body: bytes, *, expected: NodeId | None) -> None:
        if self._is_closed:
            end.drop()
            return
        try:
            hello = peer_hello_decoder.decode(body)
        except CodecError as error:
            end.close(str(error))
            return
        why = why_refuse_peer(hello, identity=self._identity, certificate_name=None, expected=expected)
        if why is not None:
            end.close(why)
            return
        if expected is None:
            end.send(encode(hello_of(self._identity)), is_orderly=True)
        node = hello.node
        if (old := self._ends.pop(node, None)) is not None:
            old.drop()
        self._ends[node] = end
        end.on_body = lambda body: self._take(node, end, body)
        end.on_lost = lambda _: self._lost(node, end)

    def _take(self, node: NodeId, end: "End", body: bytes) -> None:
        try:
            self._receive(node, body)
        except CodecError as error:
            end.close(str(error))
            self._lost(node, end)

    def _lost(self, node: NodeId, end: "End") -> None:
        if self._ends.get(node) is end:
            del self._ends[node]
            self._network.kernel.after(REDIAL_US, self._dial, node)
