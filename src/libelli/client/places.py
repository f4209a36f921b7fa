"""The addresses where nodes may be: which to try next, what went wrong there, and when it may be tried again."""

from collections.abc import Collection, Iterable

from libelli.client.connection import Connection
from libelli.client.queues import NEVER_MS
from libelli.core.ids import NO_NODE, NodeId


class Place:
    """An address where a node may be.

    Attributes:
        connection: to it, or on its way there.
        node: who was met there last.
        failures: since the last success.
        not_before_ms: when it may be tried again.
        problem: what went wrong last.
        hopeless: it will go wrong again: another cluster, a certificate that is refused.
    """

    __slots__ = ("connection", "failures", "hopeless", "node", "not_before_ms", "problem")

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.node: NodeId = NO_NODE
        self.failures = 0
        self.not_before_ms = 0
        self.problem = ""
        self.hopeless = False

    def succeeded(self, node: NodeId) -> None:
        """A node has greeted here."""
        self.node, self.failures, self.problem, self.hopeless = node, 0, "", False

    def failed(self, problem: str, *, hopeless: bool, not_before_ms: int) -> None:
        """The connection, or the attempt to make one, is lost."""
        self.problem, self.hopeless, self.not_before_ms = problem, hopeless, not_before_ms


class Places:
    """All addresses; the one that was tried longest ago comes first.

    Args:
        endpoints: addresses that are never dropped, in the order in which they are tried.
    """

    def __init__(self, endpoints: Iterable[str]) -> None:
        self._places = {address: Place() for address in endpoints}
        self._endpoints = frozenset(self._places)

    def at(self, address: str) -> Place:
        """Returns the place with an address; a new one is added."""
        return self._places.setdefault(address, Place())

    def take(self, address: str, connection: Connection) -> None:
        """Notes an attempt to connect; next time the others come first."""
        place = self._places.pop(address, None) or Place()
        place.connection = connection
        self._places[address] = place

    def keep(self, addresses: Collection[str]) -> None:
        """Adds addresses that are new, and drops those that are neither among them nor in use."""
        for address in addresses:
            self.at(address)
        known = {*self._endpoints, *addresses}
        for address in [each for each, place in self._places.items() if each not in known and not place.connection]:
            del self._places[address]

    def next_free(self, met: Collection[NodeId], now_ms: int) -> tuple[str, int]:
        """Returns the address to try next, or an empty one and when to look again.

        Args:
            met: nodes that are connected already.
            now_ms: the time.
        """
        ready_ms = NEVER_MS
        for address, place in self._places.items():
            if place.connection is None and place.node not in met:
                if place.not_before_ms <= now_ms:
                    return address, now_ms
                ready_ms = min(ready_ms, place.not_before_ms)
        return "", ready_ms

    def problems(self) -> str:
        """Returns what is wrong with each address, in one line."""
        found = [f"{address}: {place.problem}" for address, place in self._places.items() if place.problem]
        return "; ".join(found) or f"still connecting to {', '.join(self._places)}"

    def all_hopeless(self) -> bool:
        """Returns whether every address was tried and trying again cannot help."""
        return all(place.hopeless for place in self._places.values())

    def hope_again(self) -> None:
        """Lets the next call try all addresses."""
        for place in self._places.values():
            place.hopeless = False
