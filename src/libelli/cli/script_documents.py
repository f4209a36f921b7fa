"""A transaction from its JSON form; every unknown or ill-typed field is refused by its path."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from libelli.cli.documents import bytes_of
from libelli.cli.keys import prefix_range
from libelli.cli.usage import UsageError
from libelli.stores.mvcc.commands import (
    FROM_KEY,
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Operation,
    Put,
    Range,
    SortOrder,
    SortTarget,
    Transaction,
)

DEPTH_MAX = 32
"""Transactions inside transactions; far above what the store takes in operations."""

RESULTS: Mapping[str, CompareResult] = {
    "=": CompareResult.EQUAL,
    "!=": CompareResult.NOT_EQUAL,
    "<": CompareResult.LESS,
    ">": CompareResult.GREATER,
}
TARGETS: Mapping[str, CompareTarget] = {target.name.lower(): target for target in CompareTarget}


class Fields:
    """One JSON object, whose fields are taken one by one; what is left over at the end is an error."""

    def __init__(self, value: object, *, path: str) -> None:
        if not isinstance(value, dict):
            raise UsageError(f"{path}: {value!r} is not a JSON object")
        self._left = dict(value)
        self.path = path

    def take_bytes(self, name: str, default: bytes | None = None) -> bytes:
        """Takes a field of bytes."""
        if name not in self._left and default is not None:
            return default
        return bytes_of(self._take(name), field=f"{self.path}.{name}")

    def take_number(self, name: str, default: int = 0) -> int:
        """Takes a whole number."""
        value = self._left.pop(name, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise UsageError(f"{self.path}.{name}: {value!r} is not a whole number")
        return value

    def take_flag(self, name: str) -> bool:
        """Takes true or false."""
        value = self._left.pop(name, False)
        if not isinstance(value, bool):
            raise UsageError(f"{self.path}.{name}: {value!r} is neither true nor false")
        return value

    def take_choice(self, name: str, choices: Mapping[str, Any], default: str | None = None) -> Any:
        """Takes one of `choices` by its name."""
        value = self._take(name) if default is None else self._left.pop(name, default)
        if not isinstance(value, str) or value not in choices:
            raise UsageError(f"{self.path}.{name}: {value!r} is none of {', '.join(choices)}")
        return choices[value]

    def take_list(self, name: str) -> list[Any]:
        """Takes a list; a missing one is empty."""
        value = self._left.pop(name, [])
        if not isinstance(value, list):
            raise UsageError(f"{self.path}.{name}: {value!r} is not a list")
        return value

    def take_range(self) -> tuple[bytes, bytes]:
        """Takes `key` and how far the range goes: `end`, or `prefix` or `from_key` for what is written often."""
        key, end = self.take_bytes("key"), self.take_bytes("end", b"")
        prefix, from_key = self.take_flag("prefix"), self.take_flag("from_key")
        if sum((bool(end), prefix, from_key)) > 1:
            raise UsageError(f"{self.path}: give only one of end, prefix and from_key")
        if prefix:
            wanted = prefix_range(key)
            return wanted.key, wanted.end
        return key, FROM_KEY if from_key else end

    def done(self) -> None:
        """Refuses what nobody took."""
        if self._left:
            raise UsageError(f"{self.path}: unknown field {', '.join(map(repr, self._left))}")

    def _take(self, name: str) -> object:
        if name not in self._left:
            raise UsageError(f"{self.path}: the field {name!r} is missing")
        return self._left.pop(name)


def transaction_from_json(text: bytes) -> Transaction:
    """Returns the transaction that a JSON document describes.

    Raises:
        UsageError: it is not JSON, or a field is missing, unknown or of the wrong type.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the transaction is not JSON: {error}") from None
    return _transaction(document, "transaction", 0)


def _transaction(document: object, path: str, depth: int) -> Transaction:
    if depth > DEPTH_MAX:
        raise UsageError(f"{path}: transactions are nested more than {DEPTH_MAX} deep: make it flatter")
    fields = Fields(document, path=path)
    compares, success, failure = fields.take_list("compares"), fields.take_list("success"), fields.take_list("failure")
    fields.done()
    return Transaction(
        tuple(_compare(each, f"{path}.compares[{n}]") for n, each in enumerate(compares)),
        tuple(_operation(each, f"{path}.success[{n}]", depth) for n, each in enumerate(success)),
        tuple(_operation(each, f"{path}.failure[{n}]", depth) for n, each in enumerate(failure)),
    )


def _compare(document: object, path: str) -> Compare:
    fields = Fields(document, path=path)
    key, end = fields.take_range()
    target = fields.take_choice("target", TARGETS)
    result = fields.take_choice("result", RESULTS)
    if target is CompareTarget.VALUE:
        compare = Compare(key, target, result, value=fields.take_bytes("value"), end=end)
    else:
        compare = Compare(key, target, result, number=fields.take_number("number"), end=end)
    fields.done()
    return compare


def _operation(document: object, path: str, depth: int) -> Operation:
    if not isinstance(document, dict) or len(document) != 1:
        raise UsageError(f'{path}: {document!r} is not one operation, such as {{"put": {{…}}}}')
    ((name, body),) = document.items()
    path = f"{path}.{name}"
    if name == "transaction":
        return _transaction(body, path, depth + 1)
    if name not in _OPERATIONS:
        raise UsageError(f"{path} is unknown: write one of {', '.join(_OPERATIONS)}, transaction")
    fields = Fields(body, path=path)
    operation = _OPERATIONS[name](fields)
    fields.done()
    return operation


def _put(fields: Fields) -> Put:
    keep_value = fields.take_flag("keep_value")
    return Put(
        fields.take_bytes("key"),
        fields.take_bytes("value", b"" if keep_value else None),
        lease=fields.take_number("lease"),
        previous=fields.take_flag("previous"),
        keep_value=keep_value,
        keep_lease=fields.take_flag("keep_lease"),
    )


def _range(fields: Fields) -> Range:
    key, end = fields.take_range()
    return Range(
        key,
        end,
        limit=fields.take_number("limit"),
        revision=fields.take_number("revision"),
        order=fields.take_choice("order", {order.name.lower(): order for order in SortOrder}, "none"),
        target=fields.take_choice("sort_by", {target.name.lower(): target for target in SortTarget}, "key"),
        keys_only=fields.take_flag("keys_only"),
        count_only=fields.take_flag("count_only"),
    )


def _delete(fields: Fields) -> DeleteRange:
    key, end = fields.take_range()
    return DeleteRange(key, end, previous=fields.take_flag("previous"))


_OPERATIONS: Mapping[str, Callable[[Fields], Operation]] = {
    "put": _put,
    "range": _range,
    "delete": _delete,
}
