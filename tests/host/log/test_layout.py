"""Blocks and headers: what was written is read back, and anything else is not taken for it."""

import random

import pytest

from libelli.core.errors import CodecError
from libelli.host.log.layout import (
    BLOCK_HEADER_SIZE,
    SECTOR_SIZE,
    SegmentHeader,
    block_at,
    decode_header,
    encode_block,
    encode_record,
    records_in,
    segment_name,
    segment_number,
)
from tests.host.log.places import CLUSTER, entries, start, state

HEADER = SegmentHeader(1, CLUSTER, 7, 3, 20, 0x1234_5678_9ABC_DEF0)


@pytest.mark.parametrize("size", [0, 1, 487, 488, 489, 5_000])
def test_a_block_fills_whole_sectors_and_is_read_back(size: int) -> None:
    payload = random.Random(size).randbytes(size)
    block = encode_block(payload, number=9, salt=5)
    assert len(block) % SECTOR_SIZE == 0
    assert len(block) - BLOCK_HEADER_SIZE - size < SECTOR_SIZE
    found = block_at(b"z" * SECTOR_SIZE + block, SECTOR_SIZE, salt=5)
    assert found is not None
    assert (found[0], bytes(found[1])) == (9, payload)


def test_any_changed_bit_of_a_block_is_noticed() -> None:
    block = encode_block(b"payload", number=9, salt=5)
    for bit in range((BLOCK_HEADER_SIZE + len(b"payload")) * 8):
        changed = bytearray(block)
        changed[bit // 8] ^= 1 << bit % 8
        assert block_at(bytes(changed), 0, salt=5) is None


def test_a_block_inside_a_value_is_no_block() -> None:
    forged = encode_block(b"", number=10, salt=0)
    assert block_at(forged, 0, salt=77) is None


def test_a_block_that_is_cut_is_no_block() -> None:
    block = encode_block(b"x" * 600, number=1, salt=5)
    assert all(block_at(block[:size], 0, salt=5) is None for size in (0, 10, BLOCK_HEADER_SIZE, SECTOR_SIZE))


def test_a_header_is_read_back() -> None:
    sector = HEADER.encode()
    assert len(sector) == SECTOR_SIZE
    assert decode_header(sector) == HEADER


def test_any_changed_byte_of_a_header_is_noticed() -> None:
    sector = HEADER.encode()
    for at in range(len(sector.rstrip(b"\0"))):
        assert decode_header(sector[:at] + bytes([sector[at] ^ 0x40]) + sector[at + 1 :]) is None
    assert decode_header(b"") is None


def test_records_of_a_block_are_read_back_with_their_places() -> None:
    records = [state(3, vote=2), entries(5, b"a", b"b", term=3), start(2, group=8)]
    encoded = [encode_record(record) for record in records]
    found = list(records_in(memoryview(b"".join(encoded))))
    assert [record for _, record in found] == records
    assert [offset for offset, _ in found] == [0, len(encoded[0]), len(encoded[0]) + len(encoded[1])]


def test_a_record_that_is_longer_than_its_block_is_refused() -> None:
    with pytest.raises(CodecError, match="a log record of 200 bytes where 3 are left"):
        list(records_in(memoryview(b"\xc8\0\0\0abc")))


@pytest.mark.parametrize("name", ["log-1.segment", "log-x.seg", "data", "log-.seg", "snapshot-1.seg"])
def test_other_files_are_no_segments(name: str) -> None:
    assert segment_number(name) is None


def test_a_segment_is_found_by_its_name() -> None:
    assert segment_number(segment_name(42)) == 42
