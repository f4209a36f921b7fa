"""Keys between the shell and the store."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libelli.cli.keys import EVERYTHING, KeyRange, chosen_range, key_bytes, prefix_end, prefix_range, shown
from libelli.cli.usage import UsageError
from libelli.stores.mvcc.commands import FROM_KEY


def covers(chosen: KeyRange, key: bytes) -> bool:
    if not chosen.end:
        return key == chosen.key
    return key >= chosen.key and (chosen.end == FROM_KEY or key < chosen.end)


@given(prefix=st.binary(max_size=4), key=st.binary(min_size=1, max_size=6))
def test_a_prefix_covers_exactly_the_keys_that_begin_with_it(prefix: bytes, key: bytes) -> None:
    assert covers(prefix_range(prefix), key) == key.startswith(prefix)


def test_a_prefix_of_highest_bytes_has_no_end() -> None:
    assert prefix_end(b"\xff\xff") == FROM_KEY
    assert prefix_end(b"a\xff") == b"b"


def test_an_empty_prefix_is_every_key() -> None:
    assert prefix_range(b"") == EVERYTHING


def test_an_argument_that_is_not_utf8_keeps_its_bytes() -> None:
    assert key_bytes("a\udcff") == b"a\xff"


def test_a_key_of_zeros_is_written_in_hexadecimal() -> None:
    assert key_bytes("00ff", as_hex=True) == b"\x00\xff"


@pytest.mark.parametrize("argument", ["0", "zz", "0x00"])
def test_what_is_not_hexadecimal_is_refused_with_an_example(argument: str) -> None:
    with pytest.raises(UsageError, match="00ff"):
        key_bytes(argument, as_hex=True)


def test_an_end_takes_the_place_of_the_prefix() -> None:
    assert chosen_range("b", prefix=True, to="d") == KeyRange(b"b", b"d")


def test_from_key_goes_to_the_last_key() -> None:
    assert chosen_range("b", prefix=True, from_key=True) == KeyRange(b"b", FROM_KEY)
    assert chosen_range("", prefix=True, from_key=True) == EVERYTHING


@pytest.mark.parametrize(("to", "from_key"), [("a", False), ("b", False), ("c", True)])
def test_contradicting_ends_are_refused(to: str, from_key: bool) -> None:
    with pytest.raises(UsageError):
        chosen_range("b", prefix=True, to=to, from_key=from_key)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"posts/1", "posts/1"),
        ("Häuser".encode(), "Häuser"),
        (b"a\nb\t", "a\\nb\\t"),
        (b"\x1b[31mred", "\\x1b[31mred"),
        (b"\xff\x00", "\\xff\\x00"),
    ],
)
def test_what_cannot_be_printed_is_escaped(data: bytes, text: str) -> None:
    assert shown(data) == text
