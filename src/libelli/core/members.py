"""Who belongs to a group, and where its nodes are reached."""

from collections.abc import Iterator

from msgspec import Struct

from libelli.core.codec import Decoder, encode
from libelli.core.ids import NodeId


class Member(Struct, frozen=True, array_like=True):
    """A node as its group knows it.

    Attributes:
        node: its number.
        name: unique in the cluster; its certificate names it.
        region: where it stands, for people and placement.
        peer_address: `host:port` for the stream between nodes.
        client_address: `host:port` for native client sessions.
        grpc_address: `host:port` of its gRPC door, or empty.
    """

    node: NodeId
    name: str
    region: str = ""
    peer_address: str = ""
    client_address: str = ""
    grpc_address: str = ""


class Configuration(Struct, frozen=True, array_like=True):
    """The members of a group: voters decide, learners only follow. Both sorted by node."""

    voters: tuple[Member, ...]
    learners: tuple[Member, ...] = ()

    def __iter__(self) -> Iterator[Member]:
        yield from self.voters
        yield from self.learners

    @property
    def voter_nodes(self) -> tuple[NodeId, ...]:
        """The voters' numbers, sorted."""
        return tuple(member.node for member in self.voters)

    @property
    def nodes(self) -> tuple[NodeId, ...]:
        """The numbers of all members, sorted."""
        return tuple(sorted(member.node for member in self))

    def find(self, node: NodeId) -> Member | None:
        """Returns the member `node`, or None."""
        return next((member for member in self if member.node == node), None)

    def encode(self) -> bytes:
        """Returns the bytes of a configuration entry."""
        return encode(self)

    def with_voter(self, member: Member) -> "Configuration":
        """Returns the configuration in which `member` votes (and does not learn)."""
        others = tuple(m for m in self.voters if m.node != member.node)
        learners = tuple(m for m in self.learners if m.node != member.node)
        return Configuration(_sorted((*others, member)), learners)

    def with_learner(self, member: Member) -> "Configuration":
        """Returns the configuration in which `member` learns."""
        others = tuple(m for m in self.learners if m.node != member.node)
        return Configuration(self.voters, _sorted((*others, member)))

    def without(self, node: NodeId) -> "Configuration":
        """Returns the configuration that lacks `node`."""
        return Configuration(
            tuple(m for m in self.voters if m.node != node),
            tuple(m for m in self.learners if m.node != node),
        )


def _sorted(members: tuple[Member, ...]) -> tuple[Member, ...]:
    return tuple(sorted(members, key=lambda member: member.node))


_decoder: Decoder[Configuration] = Decoder(Configuration, name="group configuration")


def decode_configuration(data: bytes) -> Configuration:
    """Returns the configuration of a configuration entry.

    Raises:
        CodecError: the bytes are something else.
    """
    return _decoder.decode(data)
