"""Who a node is; fixed for the life of its data directory."""

from msgspec import Struct

from libelli.core.ids import ClusterId, NodeId


class Identity(Struct, frozen=True):
    """A node of a cluster.

    Attributes:
        cluster: the cluster's id, in every file and every hello.
        node: its number.
        name: what its certificate calls it.
        region: where it stands.
    """

    cluster: ClusterId
    node: NodeId
    name: str
    region: str = ""
