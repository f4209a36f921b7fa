"""`snapshot save|show|restore`: a consistent copy of all collections in one file, and clusters made of it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from libelli.cli.hints import up_line
from libelli.cli.output import write_document, write_text
from libelli.cli.parameters import NewDataOption, NewHostOption, NewPortOption, NewRegionOption, NewReplicasOption
from libelli.cli.settings import OUTPUT_OPTIONS, Settings, command
from libelli.core.errors import ConfigurationError

if TYPE_CHECKING:
    from libelli.live.founding import Wish
    from libelli.live.seeding import Seeded

commands = typer.Typer(no_args_is_help=True, help="Copies of everything, and clusters made of them.")

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The snapshot.", dir_okay=False)]


@command(commands, "save")
def save(
    settings: Settings,
    file: FileArgument,
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
) -> None:
    """Write a consistent copy of all collections, history and leases included, with a checksum at its end.

    It holds every write that was answered before it began. FILE appears when it is whole.
    """
    if file.exists() and not force:
        raise ConfigurationError(f"{file} exists: name another file, or replace it with --force")
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        with settings.client() as client, _private(unfinished) as stream:
            client.save_snapshot(stream)
            stream.flush()
            os.fsync(stream.fileno())
        header = _verify(unfinished)
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)
    write_header(settings, file, header)


@command(commands, "show", options=OUTPUT_OPTIONS)
def show(settings: Settings, file: FileArgument) -> None:
    """Read a whole snapshot, check it, and say what is in it."""
    write_header(settings, file, _verify(file))


@command(commands, "restore", options=OUTPUT_OPTIONS)
def restore(
    settings: Settings,
    file: FileArgument,
    *,
    data: NewDataOption,
    replicas: NewReplicasOption = 3,
    region: NewRegionOption = None,
    port: NewPortOption = None,
    host: NewHostOption = "127.0.0.1",
) -> None:
    """Make a new cluster of a snapshot: a new id, new certificates, new data folders; then start it with `up`.

    What runs now is not touched, and clients of the old cluster do not take the new one for it.
    """
    from libelli.live.restore import restore as restore_cluster

    wish = wish_of(replicas=replicas, region=region, port=port, host=host)
    write_seeded(settings, data, restore_cluster(file, data, wish))


def wish_of(*, replicas: int, region: list[str] | None, port: int | None, host: str) -> "Wish":
    """Returns what options say about a new cluster."""
    from libelli.live.founding import PORT_DEFAULT, REGIONS_DEFAULT, Wish

    return Wish(replicas=replicas, regions=tuple(region or REGIONS_DEFAULT), port=port or PORT_DEFAULT, host=host)


def write_seeded(settings: Settings, folder: Path, seeded: "Seeded") -> None:
    """Says which cluster was made, and how to start it."""
    start = up_line(folder)
    if settings.json:
        write_document(
            {
                "cluster": seeded.content.cluster,
                "file": str(seeded.path),
                "replicas": [place.name for place in seeded.content.members],
                "rows": seeded.rows,
                "start": start,
            }
        )
        return
    names = ", ".join(place.name for place in seeded.content.members)
    write_text(f"new cluster {seeded.content.cluster} in {folder}: {names}")
    write_text(f"start it: {start}")


def write_header(settings: Settings, file: Path, header: object) -> None:
    """Says what is in a snapshot."""
    from libelli.host.snapshots import SnapshotHeader

    if not isinstance(header, SnapshotHeader):
        raise TypeError(f"{type(header).__name__} is no header of a snapshot")
    size = file.stat().st_size
    groups = [{"collection": group.collection, "index": group.index, "term": group.term} for group in header.groups]
    if settings.json:
        write_document({"file": str(file), "size_bytes": size, "cluster": header.cluster, "collections": groups})
        return
    write_text(f"{file}: {size:,} bytes, whole, from cluster {header.cluster} (libelli {header.software})")
    for group in groups:
        write_text(f"  collection {group['collection']} as of entry {group['index']}")


def _verify(file: Path) -> object:
    from libelli.live.restore import verify

    return verify(file)


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")
