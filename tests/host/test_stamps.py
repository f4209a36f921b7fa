"""Stamps: what the leader decides travels with the entry."""

import pytest

from libelli.core.codec import encode
from libelli.core.errors import InvariantError
from libelli.host.stamps import FrameEntry, SessionEntry, decode_stamped, stamp


@pytest.mark.parametrize("entry", [SessionEntry(12), FrameEntry(5, True, 3, 9, 8, b"commands")])
def test_a_stamped_entry_is_read_back(entry: SessionEntry | FrameEntry) -> None:
    assert decode_stamped(stamp(entry)) == entry


@pytest.mark.parametrize("data", [b"", b"\xff", encode([9, 1])])
def test_a_committed_entry_that_cannot_be_read_stops_the_replica(data: bytes) -> None:
    with pytest.raises(InvariantError, match="upgrade this node to the version of the leader"):
        decode_stamped(data)
