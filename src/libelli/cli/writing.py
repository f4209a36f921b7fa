"""`put`, `del`, `txn` and `compact`: what changes a collection."""

import sys
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from libelli.cli.documents import answer_document, previous_document
from libelli.cli.keys import chosen_range, key_bytes, shown
from libelli.cli.output import write_document, write_note, write_text
from libelli.cli.parameters import HexOption, KeyArgument, LeaseOption, PreviousOption, ToOption
from libelli.cli.scripts import parse_transaction
from libelli.cli.settings import Settings, command
from libelli.cli.usage import UsageError
from libelli.core.errors import Code, call_error
from libelli.core.limits import COMMAND_SIZE_MAX, VALUE_SIZE_MAX
from libelli.stores.mvcc.commands import (
    Answer,
    DeleteDone,
    KeyValue,
    PutDone,
    RangeDone,
    TransactionDone,
)

commands = typer.Typer()

SCRIPT_SIZE_MAX = 4 * COMMAND_SIZE_MAX
"""A transaction as text: base64 and quotes make it longer than the command that it becomes."""


@command(commands, "put", panel="Data")
def put(
    settings: Settings,
    key: KeyArgument,
    value: Annotated[
        str | None, typer.Argument(metavar="VALUE", help="The value; - reads it from stdin.", show_default=False)
    ] = None,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Read the value from FILE.", show_default=False)
    ] = None,
    lease: LeaseOption = 0,
    previous: PreviousOption = False,
    as_hex: HexOption = False,
) -> None:
    """Set a key to a value."""
    name = key_bytes(key, as_hex=as_hex)
    data = value_bytes(value, file=file)
    with settings.client() as client:
        answer = client.put(name, data, lease=lease, previous=previous, collection=settings.collection)
    if settings.json:
        document = {"collection": settings.collection, "revision": answer.revision}
        if previous:
            document["previous"] = previous_document(answer.previous)
        write_document(document)
        return
    write_text(f"revision {answer.revision}")
    if previous:
        write_text(f"previous: {shown(answer.previous.value) if answer.previous else 'none'}")


def value_bytes(argument: str | None, *, file: Path | None) -> bytes:
    """Returns the value that `put` is to write.

    Raises:
        UsageError: none or two sources are given.
        Refused: it is over the limit.
    """
    if (argument is None) == (file is None):
        raise UsageError("give the value once: as VALUE, as - for stdin, or with --file FILE")
    if file is not None:
        with file.open("rb") as stream:
            return bounded(stream, size_max=VALUE_SIZE_MAX, what=f"the value in {file}")
    if argument == "-":
        return bounded(sys.stdin.buffer, size_max=VALUE_SIZE_MAX, what="the value on stdin")
    return key_bytes(argument or "")


def bounded(stream: BinaryIO, *, size_max: int, what: str) -> bytes:
    """Returns all that `stream` holds, but reads no further than the limit.

    Raises:
        Refused: it holds more.
    """
    data = stream.read(size_max + 1)
    if len(data) > size_max:
        raise call_error(Code.TOO_LARGE, f"{what} has more than {size_max:,} bytes, which is the limit: split it up")
    return data


@command(commands, "del", panel="Data")
def delete(
    settings: Settings,
    key: KeyArgument,
    *,
    prefix: Annotated[bool, typer.Option("--prefix", help="Every key that begins with KEY.")] = False,
    to: ToOption = None,
    previous: PreviousOption = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Needed to delete every key: --prefix with an empty KEY.")
    ] = False,
    as_hex: HexOption = False,
) -> None:
    """Delete a key, or with --prefix or --to many; deleting what is not there is no error."""
    if prefix and to is not None:
        raise UsageError("--prefix and --to both say what to delete: give one of them")
    chosen = chosen_range(key, prefix=prefix, to=to, as_hex=as_hex)
    if prefix and not key and not yes:
        raise UsageError(f"that deletes every key in collection {settings.collection!r}: add --yes if it is meant")
    with settings.client() as client:
        answer = client.delete(chosen.key, chosen.end, previous=previous, collection=settings.collection)
    if settings.json:
        document = {"collection": settings.collection, "revision": answer.revision, "deleted": answer.deleted}
        if previous:
            document["previous"] = [previous_document(item) for item in answer.previous]
        write_document(document)
        return
    write_text(f"deleted {answer.deleted:,} {'key' if answer.deleted == 1 else 'keys'}, revision {answer.revision}")
    for item in answer.previous:
        write_text(item_line(item))


@command(commands, "txn", panel="Data")
def transaction(
    settings: Settings,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="The transaction; without it, stdin.", show_default=False),
    ] = None,
    *,
    expect_success: Annotated[
        bool, typer.Option("--expect-success", help="Exit with 1 when a condition does not hold.")
    ] = False,
) -> None:
    """Run a transaction: conditions, what to do when all hold, and what otherwise.

    Lines such as: if missing a / if value b = 1 / then put a 2 / else get a; or JSON. See docs/commands.md.
    """
    if file is None:
        write_note("reading the transaction from the terminal; Ctrl-D ends it")
        text = bounded(sys.stdin.buffer, size_max=SCRIPT_SIZE_MAX, what="the transaction on stdin")
    else:
        with file.open("rb") as stream:
            text = bounded(stream, size_max=SCRIPT_SIZE_MAX, what=f"the transaction in {file}")
    wanted = parse_transaction(text)
    with settings.client() as client:
        answer = client.transaction(wanted, collection=settings.collection)
    if settings.json:
        write_document({"collection": settings.collection} | answer_document(answer))
    else:
        write_answer(answer)
    if expect_success and not answer.succeeded:
        raise typer.Exit(1)


def write_answer(answer: Answer, indent: str = "") -> None:
    """Writes the answer to one operation, a line for each thing that was found."""
    match answer:
        case PutDone():
            write_text(f"{indent}put")
        case RangeDone(_, count, more, items):
            for item in items:
                write_text(indent + item_line(item))
            if more or not items:
                write_text(f"{indent}{count:,} keys, {len(items):,} shown")
        case DeleteDone(_, deleted, gone):
            write_text(f"{indent}deleted {deleted:,}")
            for item in gone:
                write_text(f"{indent}  {item_line(item)}")
        case TransactionDone(revision, succeeded, answers):
            branch = "conditions held: then" if succeeded else "conditions did not hold: else"
            write_text(f"{indent}{branch}, revision {revision}")
            for each in answers:
                write_answer(each, indent + "  ")
        case _:
            write_text(f"{indent}{answer_document(answer)}")


def item_line(item: KeyValue) -> str:
    """Returns a key and its value in one line."""
    return f"{shown(item.key)}\t{shown(item.value)}"


@command(commands, "compact", panel="Operation")
def compact(
    settings: Settings,
    revision: Annotated[int, typer.Argument(min=1, metavar="REVISION", help="The oldest revision to keep.")],
) -> None:
    """Forget history: revisions before REVISION cannot be read any more, current values stay."""
    with settings.client() as client:
        answer = client.compact(revision, collection=settings.collection)
    document = {"collection": settings.collection, "revision": answer.revision, "compact_revision": revision}
    if settings.json:
        write_document(document)
    else:
        write_text(f"history before revision {revision} is forgotten")
