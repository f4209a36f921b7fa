"""A peer that holds a good certificate and lies: what it may not do is end the cluster with one frame."""

from random import Random

import pytest

from libelli.core.codec import encode
from libelli.core.errors import CodecError
from libelli.core.ids import DEFAULT_GROUP, ClusterId, NodeId, Term
from libelli.core.members import Configuration, Member
from libelli.host.identity import Identity
from libelli.host.log import RecoveredLog
from libelli.host.node import TERMS_AHEAD_MAX, Node
from libelli.host.options import NodeOptions
from libelli.protocols.raft.messages import VoteDenied
from libelli.stores.memory import MemoryCheckpoint

MEMBERS = Configuration(tuple(Member(NodeId(node), f"n{node}", "here", f"h{node}:1", "") for node in (1, 2, 3)))


@pytest.fixture
def node() -> Node:
    node = Node(
        identity=Identity(ClusterId("a" * 32), NodeId(2), "n2", "here"),
        log=RecoveredLog(ClusterId("a" * 32), 2, {}, [], 1),
        checkpoints={DEFAULT_GROUP: MemoryCheckpoint()},
        founding=MEMBERS,
        random=Random(1),
        options=NodeOptions(),
    )
    node.step(0)
    return node


def say(node: Node, term: int) -> None:
    node.receive_peer(NodeId(1), encode([(DEFAULT_GROUP, VoteDenied(Term(term)))]))
    node.step(1)


@pytest.mark.parametrize("term", [TERMS_AHEAD_MAX + 1, 2**63, 2**64 - 1])
def test_a_term_that_no_election_can_have_reached_is_not_adopted(node: Node, term: int) -> None:
    with pytest.raises(CodecError, match=f"says term {term}"):
        say(node, term)
    assert node.group().replica.term == 0


def test_a_peer_that_is_many_elections_ahead_is_followed(node: Node) -> None:
    say(node, 1_000_000)
    assert node.group().replica.term == 1_000_000
