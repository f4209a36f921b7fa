"""`get` and `range`: what reads a collection."""

from typing import Annotated

import typer

from libelli.cli.choices import SortBy
from libelli.cli.documents import item_document
from libelli.cli.keys import chosen_range, key_bytes, shown
from libelli.cli.output import (
    write_bytes,
    write_document,
    write_long_document,
    write_note,
    write_text,
    write_value,
)
from libelli.cli.parameters import (
    ExactOption,
    FromKeyOption,
    HexOption,
    KeyArgument,
    OutputFileOption,
    PrefixArgument,
    RevisionOption,
    SerializableOption,
    ToOption,
)
from libelli.cli.ranges import Pages, read_range
from libelli.cli.settings import Settings, command
from libelli.core.errors import Code, call_error
from libelli.stores.mvcc.commands import Range, RangeDone, SortOrder, SortTarget

commands = typer.Typer()


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
        wanted = Range(name, revision=revision)
        answer = read_range(client, wanted, collection=settings.collection, serializable=serializable)
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


@command(commands, "range", panel="Data")
def range_(
    settings: Settings,
    prefix: PrefixArgument = "",
    *,
    exact: ExactOption = False,
    to: ToOption = None,
    from_key: FromKeyOption = False,
    count: Annotated[bool, typer.Option("--count", help="Only how many there are.")] = False,
    keys: Annotated[bool, typer.Option("--keys", help="Keys without values.")] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=0, metavar="N", help="At most N keys. (default: all)", show_default=False)
    ] = 0,
    sort: Annotated[SortBy, typer.Option("--sort", help="What to sort by.")] = SortBy.KEY,
    descending: Annotated[bool, typer.Option("--descending", help="The last first.")] = False,
    revision: RevisionOption = 0,
    serializable: SerializableOption = False,
    as_hex: HexOption = False,
) -> None:
    """Print the keys that begin with PREFIX, and their values.

    All pages are read at one revision, so the answer is consistent however long it is.
    """
    chosen = chosen_range(prefix, prefix=not exact, to=to, from_key=from_key, as_hex=as_hex)
    wanted = Range(
        chosen.key,
        chosen.end,
        limit=limit,
        revision=revision,
        order=SortOrder.DESCEND if descending else SortOrder.NONE,
        target=SortTarget[sort.name],
        keys_only=keys,
        count_only=count,
    )
    with settings.client() as client:
        if count:
            answer = read_range(client, wanted, collection=settings.collection, serializable=serializable)
            write_count(settings, answer)
        else:
            pages = Pages(client, wanted, collection=settings.collection, serializable=serializable)
            write_items(settings, pages, keys_only=keys)


def write_count(settings: Settings, answer: RangeDone) -> None:
    """Writes how many keys there are."""
    if settings.json:
        write_document({"collection": settings.collection, "revision": answer.revision, "count": answer.count})
    else:
        write_text(f"{answer.count}")


def write_items(settings: Settings, pages: Pages, *, keys_only: bool) -> None:
    """Writes what is found, page by page."""
    if settings.json:
        documents = (item_document(item, keys_only=keys_only) for item in pages.items())
        write_long_document(pages.fields, "items", documents)
        return
    for item in pages.items():
        write_text(shown(item.key) if keys_only else f"{shown(item.key)}\t{shown(item.value)}")
    if pages.fields["more"]:
        write_note(f"{pages.fields['count']:,} keys, the first {pages.fields['shown']:,} shown")
