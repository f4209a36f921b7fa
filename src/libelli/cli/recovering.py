"""`recover`: a majority of the replicas is gone for ever."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from libelli.cli.documents import Document
from libelli.cli.output import write_document, write_text
from libelli.cli.parameters import (
    NewDataOption,
    NewHostOption,
    NewPortOption,
    NewRegionOption,
    NewReplicasOption,
    YesOption,
)
from libelli.cli.settings import OUTPUT_OPTIONS, Settings, command
from libelli.cli.snapshots import wish_of, write_seeded

if TYPE_CHECKING:
    from libelli.live.recovery import Survivor

commands = typer.Typer()


@command(commands, "recover", panel="Operation", options=OUTPUT_OPTIONS)
def recover(
    settings: Settings,
    survivors: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER…", help="Data folders of replicas that are left, all stopped.", file_okay=False),
    ],
    *,
    data: NewDataOption,
    replicas: NewReplicasOption = 3,
    region: NewRegionOption = None,
    port: NewPortOption = None,
    host: NewHostOption = "127.0.0.1",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what the folders hold.")] = False,
    yes: YesOption = False,
) -> None:
    """Make a new cluster of what is left when a majority of the replicas is gone for ever.

    Only for that case: while a majority can come back, start it instead, and nothing is lost. Of several folders the
    one that is furthest is used. It stays as it is.
    """
    from libelli.live.recovery import examine, recover_cluster
    from libelli.live.seeding import refuse_used

    refuse_used(data)
    found = examine(survivors)
    if dry_run and settings.json:
        write_document({"survivors": [survivor_document(each) for each in found]})
        return
    if not settings.json:
        for line in warning_lines(found):
            write_text(line)
    if dry_run:
        return
    if not yes:
        typer.confirm("make a new cluster of it, and never start the old one again?", abort=True, err=True)
    wish = wish_of(replicas=replicas, region=region, port=port, host=host)
    write_seeded(settings, data, recover_cluster(found[0], data, wish))


def survivor_document(survivor: "Survivor") -> Document:
    """Returns what a survivor's folder holds."""
    return {
        "folder": str(survivor.path),
        "cluster": survivor.cluster,
        "name": survivor.name,
        "pid": survivor.node,
        "index": survivor.index,
        "term": survivor.term,
        "voted_term": survivor.voted_term,
        "behind_checkpoint": survivor.behind,
        "written": _moment(survivor.written_s),
        "members": list(survivor.members),
    }


def warning_lines(found: "list[Survivor]") -> list[str]:
    """Returns what there is, what may be lost and what may appear."""
    best = found[0]
    lines = [
        f"{each.name} ({each.path}): up to entry {each.index}, term {each.term}, written {_moment(each.written_s)}"
        for each in found
    ]
    lines += [
        f"{best.name} is used: all that it holds is kept, {best.behind:,} entries behind its checkpoint included",
        f"may be lost: what others of {', '.join(best.members)} answered for after that, without {best.name}",
        "may appear: writes whose clients were told that they may have happened",
        "the old members must never run again: together they could go on as if nothing had happened",
    ]
    if best.voted_term > best.term:
        lines.append(
            f"{best.name} knows of term {best.voted_term} and has no entry of it: that leader may have answered for "
            "writes that are not here"
        )
    return lines


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
