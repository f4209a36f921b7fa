"""A peer that holds a good certificate and lies: what it may not do is end the cluster with one frame."""

import pytest

from libelli.core.codec import encode
from libelli.core.errors import CodecError
from libelli.core.ids import DEFAULT_GROUP, NodeId, Term
from libelli.host.node import TERMS_AHEAD_MAX, Node
from libelli.protocols.raft.messages import VoteDenied
from tests.host.nodes import fresh_node


@pytest.fixture
def node() -> Node:
    node = fresh_node()
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
