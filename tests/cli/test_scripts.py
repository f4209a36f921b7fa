"""Transactions as lines and as JSON."""

import json

import pytest

from libelli.cli.scripts import parse_transaction
from libelli.cli.usage import UsageError
from libelli.stores.mvcc.commands import (
    FROM_KEY,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Put,
    Range,
    SortOrder,
    SortTarget,
    Transaction,
)

LINES = b"""
# the lock is free
if missing locks/build
if value config/mode != "in repair"
if mod jobs/7 < 12
then put locks/build ann lease=7 previous
then put jobs/7 "in work"      # quoted as in a shell
then del-prefix tmp/
else get locks/build
else range jobs/ limit=5
"""


def test_lines_become_compares_and_both_branches() -> None:
    assert parse_transaction(LINES) == Transaction(
        compares=(
            Compare(b"locks/build", CompareTarget.VERSION, CompareResult.EQUAL, number=0),
            Compare(b"config/mode", CompareTarget.VALUE, CompareResult.NOT_EQUAL, value=b"in repair"),
            Compare(b"jobs/7", CompareTarget.MOD, CompareResult.LESS, number=12),
        ),
        success=(
            Put(b"locks/build", b"ann", lease=7, previous=True),
            Put(b"jobs/7", b"in work"),
            DeleteRange(b"tmp/", b"tmp0"),
        ),
        failure=(Range(b"locks/build"), Range(b"jobs/", b"jobs0", limit=5)),
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("when exists a", "line 1: 'when' begins no line"),
        ("if exists", "condition 'exists' cannot be read"),
        ("if value a ~ b", "cannot be read"),
        ("if version a = one", "version 'one' is not a whole number"),
        ("then", "operation '' cannot be read"),
        ("then push a b", "operation 'push a b' cannot be read"),
        ("then put a b leese=7", "'leese=7' is not known here: this operation takes previous, lease=NUMBER"),
        ("then put a b lease=x", "lease 'x' is not a whole number"),
        ('then put a "b', "line 1: No closing quotation"),
        ("if exists a", "the transaction does nothing"),
        ("", "the transaction does nothing"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line: str, complaint: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_transaction(line.encode())
    assert complaint in str(refused.value)


def test_text_that_is_not_utf8_is_pointed_to_json() -> None:
    with pytest.raises(UsageError, match="write it as JSON with base64"):
        parse_transaction(b"then put a \xff")


def test_json_nests_and_holds_any_bytes() -> None:
    document = {
        "compares": [
            {"key": "a", "target": "version", "result": "=", "number": 1},
            {"key": "p/", "prefix": True, "target": "value", "result": "=", "value": {"base64": "/w=="}},
        ],
        "success": [
            {"put": {"key": {"base64": "AP8="}, "value": "1", "lease": 7, "previous": True}},
            {"put": {"key": "b", "keep_value": True, "lease": 3}},
            {"transaction": {"success": [{"delete": {"key": "c", "end": "d"}}]}},
        ],
        "failure": [
            {"range": {"key": "", "prefix": True, "limit": 2, "order": "descend", "sort_by": "mod"}},
            {"range": {"key": "k", "from_key": True, "count_only": True}},
        ],
    }
    assert parse_transaction(json.dumps(document).encode()) == Transaction(
        compares=(
            Compare(b"a", CompareTarget.VERSION, CompareResult.EQUAL, number=1),
            Compare(b"p/", CompareTarget.VALUE, CompareResult.EQUAL, value=b"\xff", end=b"p0"),
        ),
        success=(
            Put(b"\x00\xff", b"1", lease=7, previous=True),
            Put(b"b", b"", lease=3, keep_value=True),
            Transaction(success=(DeleteRange(b"c", b"d"),)),
        ),
        failure=(
            Range(FROM_KEY, FROM_KEY, limit=2, order=SortOrder.DESCEND, target=SortTarget.MOD),
            Range(b"k", FROM_KEY, count_only=True),
        ),
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "the transaction is not JSON"),
        ('{"success": {}}', "transaction.success: {} is not a list"),
        ('{"sucess": []}', "transaction: unknown field 'sucess'"),
        ('{"success": [{"put": {"key": "a"}}]}', "transaction.success[0].put: the field 'value' is missing"),
        ('{"success": [{"put": {"key": 1, "value": "b"}}]}', "transaction.success[0].put.key: 1 is neither"),
        ('{"success": [{"put": {"key": {"base64": "?"}, "value": "b"}}]}', "is not base64"),
        ('{"success": [{"push": {}}]}', "transaction.success[0].push is unknown"),
        ('{"success": [{}]}', "transaction.success[0]: {} is not one operation"),
        ('{"success": [7]}', "transaction.success[0]: 7 is not one operation"),
        ('{"success": [{"range": {"key": "a", "limit": true}}]}', "limit: True is not a whole number"),
        ('{"success": [{"range": {"key": "a", "prefix": 1}}]}', "prefix: 1 is neither true nor false"),
        ('{"success": [{"range": {"key": "a", "end": "b", "prefix": true}}]}', "give only one of"),
        ('{"success": [{"range": {"key": "a", "sort_by": "size"}}]}', "sort_by: 'size' is none of key"),
        ('{"compares": [{"key": "a", "target": "version"}]}', "the field 'result' is missing"),
        ('{"compares": [{"key": "a", "target": "version", "result": "=", "value": "1"}]}', "unknown field"),
    ],
)
def test_a_json_field_that_cannot_be_read_is_named_by_its_path(text: str, complaint: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_transaction(text.encode())
    assert complaint in str(refused.value)


def test_json_nested_without_end_is_refused() -> None:
    text = '{"success": [{"transaction": ' * 40 + "{}" + "}]}" * 40
    with pytest.raises(UsageError, match="nested more than 32 deep"):
        parse_transaction(text.encode())
