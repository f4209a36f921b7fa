"""The JSON forms of bytes and answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libelli.cli.documents import answer_document, bytes_of, event_document, item_document, text_of
from libelli.cli.usage import UsageError
from libelli.core.errors import Code
from libelli.stores.mvcc.commands import (
    DeleteDone,
    Failed,
    KeyValue,
    LeaseReadDone,
    LeaseState,
    PutDone,
    RangeDone,
    TransactionDone,
    WatchEvent,
)

ITEM = KeyValue(b"a", b"1", 5, 7, 2, 9)
ITEM_DOCUMENT = {"key": "a", "value": "1", "create_revision": 5, "mod_revision": 7, "version": 2, "lease": 9}


@given(data=st.binary(max_size=40))
def test_any_bytes_survive_the_way_through_json(data: bytes) -> None:
    assert bytes_of(text_of(data), field="key") == data


def test_bytes_that_are_not_utf8_carry_their_marker() -> None:
    assert text_of(b"\xff") == {"base64": "/w=="}


def test_a_marker_with_bad_base64_is_refused_by_field() -> None:
    with pytest.raises(UsageError, match="key: '!' is not base64"):
        bytes_of({"base64": "!"}, field="key")


def test_an_item_has_a_value_unless_only_keys_were_asked_for() -> None:
    assert item_document(ITEM) == ITEM_DOCUMENT
    assert "value" not in item_document(ITEM, keys_only=True)


def test_a_deletion_has_key_and_revision_only() -> None:
    event = WatchEvent(KeyValue(b"a", b"", 0, 8, 0), previous=ITEM)
    assert event_document(event, previous=False) == {"event": "delete", "key": "a", "mod_revision": 8}
    assert event_document(event, previous=True)["previous"] == ITEM_DOCUMENT


def test_answers_in_a_transaction_stand_under_their_operation() -> None:
    answer = TransactionDone(
        9,
        True,
        (PutDone(9), RangeDone(9, 1, False, (ITEM,)), DeleteDone(9, 0), TransactionDone(9, False, ())),
    )
    assert answer_document(answer) == {
        "revision": 9,
        "succeeded": True,
        "answers": [
            {"put": {"revision": 9, "previous": None}},
            {"range": {"revision": 9, "count": 1, "more": False, "items": [ITEM_DOCUMENT]}},
            {"delete": {"revision": 9, "deleted": 0, "previous": []}},
            {"transaction": {"revision": 9, "succeeded": False, "answers": []}},
        ],
    }


def test_leases_name_their_keys_and_what_is_left() -> None:
    answer = LeaseReadDone(3, (LeaseState(7, 60, (b"a",), 1_500),))
    leases = [{"lease": 7, "ttl_s": 60, "remaining_ms": 1_500, "keys": ["a"]}]
    assert answer_document(answer) == {"revision": 3, "leases": leases}


def test_a_failed_command_names_its_code() -> None:
    assert answer_document(Failed(Code.COMPACTED, "gone")) == {"code": "COMPACTED", "error": "gone"}
