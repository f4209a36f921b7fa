"""How two nodes meet: the first frame of each side of a peer stream, and why it may be refused.

For each pair of nodes the one with the lower number dials; both directions share that stream.
"""

from msgspec import Struct

from libelli.core.codec import Decoder
from libelli.core.ids import NodeId
from libelli.core.versions import OLDEST_WIRE_VERSION, WIRE_VERSION, common_wire_version
from libelli.host.identity import Identity


class PeerHello(Struct, frozen=True, array_like=True):
    """A node's first frame to another node.

    Attributes:
        founding: a hash over the members that the cluster was founded with; empty for a node that joined.
    """

    cluster: str
    node: NodeId
    name: str
    oldest_wire: int = OLDEST_WIRE_VERSION
    newest_wire: int = WIRE_VERSION
    founding: str = ""


peer_hello_decoder: Decoder[PeerHello] = Decoder(PeerHello, name="peer hello")


def hello_of(identity: Identity, *, founding: str = "") -> PeerHello:
    """Returns what a node says first."""
    return PeerHello(identity.cluster, identity.node, identity.name, founding=founding)


def why_refuse_peer(
    hello: PeerHello,
    *,
    identity: Identity,
    certificate_name: str | None,
    expected: NodeId | None,
    founding: str = "",
    member_name: str | None = None,
) -> str | None:
    """Returns why the other side cannot be talked to, or None.

    Args:
        hello: what it said.
        identity: this node.
        certificate_name: the name in its certificate (None: a plain stream).
        expected: whom this node dialled (None: it was dialled).
        founding: what this node says of the founding members.
        member_name: the name of the member that has the number which it says is its own (None: nobody known has).
    """
    if hello.cluster != identity.cluster:
        return f"node {hello.name!r} belongs to cluster {hello.cluster}, this one to {identity.cluster}"
    if certificate_name is not None and certificate_name != hello.name:
        return f"node says it is {hello.name!r}, but its certificate is for {certificate_name!r}"
    if hello.node == identity.node:
        return f"node {hello.name!r} uses number {hello.node}, which is this node's own"
    if member_name is not None and hello.name != member_name:
        return f"node {hello.name!r} uses number {hello.node}, which is that of {member_name!r}: correct its number"
    if expected is not None and hello.node != expected:
        return f"node {expected} was dialled, but node {hello.node} ({hello.name!r}) answered"
    if common_wire_version(oldest=hello.oldest_wire, newest=hello.newest_wire) is None:
        return (
            f"node {hello.name!r} speaks wire versions {hello.oldest_wire} to {hello.newest_wire}, this one "
            f"{OLDEST_WIRE_VERSION} to {WIRE_VERSION}: upgrade one version at a time"
        )
    if hello.founding and founding and hello.founding != founding:
        return (
            f"node {hello.name!r} was founded with other members than this one: compare their configurations, and "
            "begin the wrong one anew with an empty folder"
        )
    return None
