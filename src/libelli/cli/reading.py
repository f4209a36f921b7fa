"""`get`, `range` and `watch`: what reads a collection."""

from typing import TYPE_CHECKING, Annotated

import typer

from libelli.cli.documents import item_document
from libelli.cli.keys import key_bytes, shown
from libelli.cli.output import (
    write_bytes,
    write_document,
    write_value,
)
from libelli.cli.parameters import (
    HexOption,
    KeyArgument,
    OutputFileOption,
    RevisionOption,
    SerializableOption,
)
from libelli.cli.settings import Settings, command
from libelli.core.errors import Code, call_error
from libelli.stores.mvcc.commands import Range, SortTarget

if TYPE_CHECKING:
    pass

commands = typer.Typer()

SORT_TARGETS = {target.name.lower(): target for target in SortTarget}
PAGE_KEYS = 1_000
"""Keys in one request of a range that is read page by page."""


@command(commands, "get", panel="Data")
def get(
    settings: Settings,
    key: KeyArgument,
    *,
    revision: RevisionOption = 0,
    serializable: SerializableOption = False,
    raw: Annotated[bool, typer.Option("--raw", help="The value's bytes and nothing else.")] = False,
    output: OutputFileOption = None,
    as_hex: HexOption = False,
) -> None:
    """Print the value of a key.

    Text that does not end its last line is given that end; --raw and --output leave every byte as it is.
    """
    name = key_bytes(key, as_hex=as_hex)
    with settings.client() as client:
        answer = client.execute(Range(name, revision=revision), serializable=serializable)
    if not answer.items:
        at = f" at revision {revision}" if revision else ""
        raise call_error(Code.KEY_NOT_FOUND, f"key {shown(name)!r} is not in collection {settings.collection!r}{at}")
    (item,) = answer.items
    if output is not None:
        output.write_bytes(item.value)
    if settings.json:
        document = {"collection": settings.collection, "revision": answer.revision}
        write_document(document | item_document(item, keys_only=output is not None))
    elif output is None:
        write_bytes(item.value) if raw else write_value(item.value)
