"""Transactions as people and programs write them.

Lines, quoted as in a shell; all conditions must hold for the `then` lines to run, otherwise the `else` lines::

    # take the lock if nobody has it
    if missing locks/build
    if value config/mode = open
    if version jobs/7 > 2
    then put locks/build ann lease=7
    then put jobs/7 "in work"
    else get locks/build

    if    exists KEY | missing KEY | value KEY OP VALUE | version|create|mod|lease KEY OP NUMBER
    OP    = != < >
    then, else
          put KEY VALUE [lease=NUMBER] [previous] | get KEY | range PREFIX [limit=NUMBER]
          del KEY [previous] | del-prefix PREFIX [previous]

JSON, which can also nest transactions and hold any bytes (documents.py says how)::

    {"compares": [{"key": "a", "target": "version", "result": "=", "number": 0}],
     "success": [{"put": {"key": "a", "value": "1"}}],
     "failure": [{"range": {"key": "a"}}, {"transaction": {…}}]}

Differs: etcdctl's `txn` reads the three parts in a fixed order, separated by empty lines.
"""

import shlex
from collections.abc import Sequence
from typing import Any

from libelli.cli.keys import prefix_range
from libelli.cli.script_documents import RESULTS, TARGETS, transaction_from_json
from libelli.cli.usage import UsageError
from libelli.stores.mvcc.commands import (
    Compare,
    CompareResult,
    CompareTarget,
    DeleteRange,
    Operation,
    Put,
    Range,
    Transaction,
)


def parse_transaction(text: bytes) -> Transaction:
    """Returns the transaction that `text` describes; JSON is recognised by its opening brace.

    Raises:
        UsageError: it cannot be read; the message names the line or field.
    """
    if text.lstrip().startswith(b"{"):
        return transaction_from_json(text)
    try:
        lines = text.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"the transaction is not UTF-8 text ({error}): write it as JSON with base64") from None
    return parse_lines(lines)


def parse_lines(lines: Sequence[str]) -> Transaction:
    """Returns the transaction that `lines` describe.

    Raises:
        UsageError: a line cannot be read, or nothing is to be done.
    """
    compares: list[Compare] = []
    branches: dict[str, list[Operation]] = {"then": [], "else": []}
    for number, line in enumerate(lines, start=1):
        try:
            words = shlex.split(line, comments=True)
            if words and words[0] == "if":
                compares.append(parse_condition(words[1:]))
            elif words:
                branch_of(branches, words[0]).append(parse_operation(words[1:]))
        except (ValueError, UsageError) as error:
            raise UsageError(f"line {number}: {error}") from None
    success, failure = branches["then"], branches["else"]
    if not (success or failure):
        raise UsageError("the transaction does nothing: add a line such as: then put KEY VALUE")
    return Transaction(tuple(compares), tuple(success), tuple(failure))


def branch_of(branches: dict[str, list[Operation]], word: str) -> list[Operation]:
    """Returns the branch that a line's first word names.

    Raises:
        UsageError: it names none.
    """
    if word not in branches:
        raise UsageError(f"{word!r} begins no line: begin it with if, then or else")
    return branches[word]


def parse_condition(words: Sequence[str]) -> Compare:
    """Returns the compare that stands behind an `if`.

    Raises:
        UsageError: it cannot be read.
    """
    match words:
        case ["exists", key]:
            return Compare(key.encode(), CompareTarget.VERSION, CompareResult.GREATER, number=0)
        case ["missing", key]:
            return Compare(key.encode(), CompareTarget.VERSION, CompareResult.EQUAL, number=0)
        case ["value", key, sign, value] if sign in RESULTS:
            return Compare(key.encode(), CompareTarget.VALUE, RESULTS[sign], value=value.encode())
        case [target, key, sign, number] if target in TARGETS and sign in RESULTS:
            return Compare(key.encode(), TARGETS[target], RESULTS[sign], number=number_of(number, name=target))
        case _:
            raise UsageError(
                f"condition {' '.join(words)!r} cannot be read: write exists KEY, missing KEY, or one of "
                f"{', '.join(sorted(TARGETS))}, then KEY, one of {' '.join(RESULTS)}, and what to compare with"
            )


def parse_operation(words: Sequence[str]) -> Operation:
    """Returns the operation that stands behind a `then` or `else`.

    Raises:
        UsageError: it cannot be read.
    """
    match words:
        case ["put", key, value, *rest]:
            chosen = options_of(rest, flags={"previous"}, numbers={"lease"})
            return Put(key.encode(), value.encode(), lease=chosen.get("lease", 0), previous="previous" in chosen)
        case ["get", key]:
            return Range(key.encode())
        case ["range", prefix, *rest]:
            chosen = options_of(rest, flags=set(), numbers={"limit"})
            wanted = prefix_range(prefix.encode())
            return Range(wanted.key, wanted.end, limit=chosen.get("limit", 0))
        case ["del", key, *rest]:
            chosen = options_of(rest, flags={"previous"}, numbers=set())
            return DeleteRange(key.encode(), previous="previous" in chosen)
        case ["del-prefix", prefix, *rest]:
            chosen = options_of(rest, flags={"previous"}, numbers=set())
            wanted = prefix_range(prefix.encode())
            return DeleteRange(wanted.key, wanted.end, previous="previous" in chosen)
        case _:
            raise UsageError(
                f"operation {' '.join(words)!r} cannot be read: write put KEY VALUE, get KEY, range PREFIX, "
                "del KEY or del-prefix PREFIX"
            )


def options_of(words: Sequence[str], *, flags: set[str], numbers: set[str]) -> dict[str, Any]:
    """Returns trailing options: `previous` as a flag, `lease=7` as a number.

    Raises:
        UsageError: an option that the operation does not have.
    """
    chosen: dict[str, Any] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if separator and name in numbers:
            chosen[name] = number_of(value, name=name)
        elif not separator and name in flags:
            chosen[name] = True
        else:
            known = [*sorted(flags), *(f"{number}=NUMBER" for number in sorted(numbers))]
            raise UsageError(f"{word!r} is not known here: this operation takes {', '.join(known)}")
    return chosen


def number_of(text: str, *, name: str) -> int:
    """Returns a decimal number.

    Raises:
        UsageError: it is none.
    """
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{name} {text!r} is not a whole number") from None
