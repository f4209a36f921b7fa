"""Two nodes meet: whoever is not who it should be is refused with a reason."""

import pytest

from libelli.core.ids import ClusterId, NodeId
from libelli.host.identity import Identity
from libelli.host.peering import PeerHello, hello_of, why_refuse_peer

HERE = Identity(ClusterId("ab" * 16), NodeId(1), "alpha")
THERE = Identity(ClusterId("ab" * 16), NodeId(2), "beta")
HELLO = hello_of(THERE)


def why(hello: PeerHello, *, certificate_name: str | None = "beta", expected: int | None = 2) -> str | None:
    node = None if expected is None else NodeId(expected)
    return why_refuse_peer(hello, identity=HERE, certificate_name=certificate_name, expected=node)


def test_the_node_that_was_dialled_is_welcome() -> None:
    assert why(HELLO) is None


def test_a_node_that_dials_is_welcome_and_so_is_one_over_a_plain_stream() -> None:
    assert why(HELLO, expected=None, certificate_name=None) is None


@pytest.mark.parametrize(
    ("hello", "reason"),
    [
        (PeerHello("cd" * 16, NodeId(2), "beta"), "belongs to cluster cdcd"),
        (PeerHello("ab" * 16, NodeId(2), "gamma"), "its certificate is for 'beta'"),
        (PeerHello("ab" * 16, NodeId(1), "beta"), "uses number 1, which is this node's own"),
        (PeerHello("ab" * 16, NodeId(3), "beta"), "node 2 was dialled, but node 3"),
        (PeerHello("ab" * 16, NodeId(2), "beta", oldest_wire=90, newest_wire=99), "upgrade one version at a time"),
    ],
)
def test_whoever_it_should_not_be_is_refused(hello: PeerHello, reason: str) -> None:
    assert reason in (why(hello) or "")


def test_two_ideas_of_who_founded_the_cluster_do_not_meet() -> None:
    def why_of(there: str, here: str) -> str:
        hello = hello_of(THERE, founding=there)
        return why_refuse_peer(hello, identity=HERE, certificate_name=None, expected=None, founding=here) or ""

    assert "was founded with other members" in why_of("one", "another")
    assert why_of("one", "one") == why_of("", "one") == why_of("one", "") == ""


def test_a_node_that_uses_the_number_of_another_member_is_refused() -> None:
    def why_of(member_name: str | None) -> str:
        return (
            why_refuse_peer(HELLO, identity=HERE, certificate_name="beta", expected=None, member_name=member_name) or ""
        )

    assert "uses number 2, which is that of 'delta'" in why_of("delta")
    assert why_of("beta") == why_of(None) == ""
