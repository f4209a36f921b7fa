"""Changes of the cluster's members: the words for them, and members by name or number."""

from collections.abc import Sequence

from libelli.core.errors import Code, Refused
from libelli.core.ids import NO_NODE, NodeId
from libelli.core.members import Member

ADD = "add"
PROMOTE = "promote"
REMOVE = "remove"
TRANSFER = "transfer"


def added_member(name: str, *, region: str, peer_address: str, client_address: str, grpc_address: str) -> Member:
    """Returns a member that is to be added; the leader gives it its number.

    Raises:
        Refused: without a name or the address that other nodes reach it by.
    """
    if not name or not peer_address:
        raise Refused("a new member needs a name and a peer address: give both", code=Code.INVALID)
    return Member(NO_NODE, name, region, peer_address, client_address, grpc_address)


def find_member(members: Sequence[Member], wanted: str | NodeId) -> Member:
    """Returns the member that a name or number means.

    Raises:
        Refused: there is none.
    """
    for member in members:
        if wanted in (member.name, member.node):
            return member
    known = ", ".join(f"{member.name} ({member.node})" for member in members) or "none"
    raise Refused(f"{wanted!r} is no member of the cluster; members are {known}", code=Code.MEMBER_NOT_FOUND)
