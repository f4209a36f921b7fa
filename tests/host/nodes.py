"""A node of three, for tests that speak with it by hand."""

from random import Random

from libelli.core.ids import DEFAULT_GROUP, ClusterId, NodeId
from libelli.core.members import Configuration, Member
from libelli.host.identity import Identity
from libelli.host.log import RecoveredLog
from libelli.host.node import Node
from libelli.host.options import NodeOptions
from libelli.stores.memory import MemoryCheckpoint

CLUSTER = ClusterId("a" * 32)
MEMBERS = Configuration(tuple(Member(NodeId(node), f"n{node}", "here", f"h{node}:1", "") for node in (1, 2, 3)))


def fresh_node() -> Node:
    """Node 2, before its first step."""
    return Node(
        identity=Identity(CLUSTER, NodeId(2), "n2", "here"),
        log=RecoveredLog(CLUSTER, 2, {}, [], 1),
        checkpoints={DEFAULT_GROUP: MemoryCheckpoint()},
        founding=MEMBERS,
        random=Random(1),
        options=NodeOptions(),
    )
