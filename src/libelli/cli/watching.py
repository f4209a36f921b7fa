"""`watch`: every change, as it happens, a line each."""

import sys
from typing import Annotated

import typer

from libelli.cli.documents import event_document
from libelli.cli.keys import chosen_range, shown
from libelli.cli.output import write_line, write_note, write_text
from libelli.cli.parameters import ExactOption, FromKeyOption, HexOption, PrefixArgument, PreviousOption, ToOption
from libelli.cli.settings import Settings, command
from libelli.stores.mvcc.commands import WatchEvent

commands = typer.Typer()


@command(commands, "watch", panel="Data")
def watch(
    settings: Settings,
    prefix: PrefixArgument = "",
    *,
    exact: ExactOption = False,
    to: ToOption = None,
    from_key: FromKeyOption = False,
    revision: Annotated[
        int,
        typer.Option("--revision", min=0, metavar="N", help="From revision N on. (default: now)", show_default=False),
    ] = 0,
    count: Annotated[
        int,
        typer.Option("--count", min=0, metavar="N", help="End after N changes.", show_default=False),
    ] = 0,
    previous: PreviousOption = False,
    as_hex: HexOption = False,
) -> None:
    """Print every change of the keys that begin with PREFIX, until Ctrl-C.

    It goes on by itself when the leader changes or a connection is lost; nothing is missed and nothing comes twice.
    """
    chosen = chosen_range(prefix, prefix=not exact, to=to, from_key=from_key, as_hex=as_hex)
    with (
        settings.client() as client,
        client.watch(
            chosen.key, chosen.end, start_revision=revision, previous=previous, collection=settings.collection
        ) as changes,
    ):
        write_note(f"watching {shown(chosen.key) if prefix else 'every key'}; Ctrl-C ends it")
        for number, event in enumerate(changes, start=1):
            write_event(settings, event, previous=previous)
            if number == count:
                return


def write_event(settings: Settings, event: WatchEvent, *, previous: bool) -> None:
    """Writes one change, at once: whoever reads a pipe or a file sees it when it happens."""
    if settings.json:
        write_line(event_document(event, previous=previous))
        return
    item = event.item
    line = f"put\t{shown(item.key)}\t{shown(item.value)}" if item.version else f"delete\t{shown(item.key)}"
    if previous:
        line += f"\twas {shown(event.previous.value)}" if event.previous else "\twas not there"
    write_text(line)
    sys.stdout.flush()
