"""`load`: files become keys; what is there already with the same content is left alone, so a load can be resumed.

::

    plan (folders.py) ─► batches, bounded in files and bytes
                            │ read the keys        all of a batch under way at once
                            ├─ equal ────────────► skipped
                            └─ missing, other ───► put
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from libelli.cli.documents import text_of
from libelli.cli.folders import PlannedFile, plan
from libelli.cli.keys import key_bytes, shown
from libelli.cli.output import color_wanted, write_document, write_text
from libelli.cli.settings import Settings, command
from libelli.core.limits import MIB, VALUE_SIZE_MAX
from libelli.stores.mvcc.commands import Put, Range, RangeDone

if TYPE_CHECKING:
    from concurrent.futures import Future

    from libelli.client import Client
    from libelli.stores.mvcc.commands import Answer

commands = typer.Typer()

BATCH_FILES = 32
"""Files that are read and compared at once; what the store has under their keys is in memory, too."""
BATCH_BYTES = 4 * MIB
FLAWS_SHOWN = 20


@dataclass(slots=True)
class Loaded:
    """What became of the files so far."""

    loaded: int = 0
    skipped: int = 0
    size_bytes: int = 0
    refused: list[tuple[PlannedFile, str]] = field(default_factory=list)


@command(commands, "load", panel="Data")
def load(
    settings: Settings,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files, and folders with all that is in them.")],
    *,
    prefix: Annotated[str, typer.Option("--prefix", metavar="P", help="Put in front of every key.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
) -> None:
    """Load files into keys: a folder's files by their path below it, a single file by its name.

    Running it again loads only what is new or has changed. Exits with 1 when a file could not be loaded; the others
    are loaded all the same.
    """
    done = Loaded()
    try:
        load_all(settings, paths, done, prefix=key_bytes(prefix), is_plan=dry_run)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted: {_files(done.loaded)} loaded, {done.skipped:,} were there already; the same command goes on"
        ) from None
    report(settings, done, is_plan=dry_run)
    if done.refused:
        raise typer.Exit(1)


def load_all(settings: Settings, paths: Iterable[Path], done: Loaded, *, prefix: bytes, is_plan: bool) -> None:
    """Loads all files below `paths`, or only counts them, and keeps count in `done`.

    Raises:
        UsageError: a path cannot be used.
        CallError: the cluster could not take a file; what was loaded before stays.
    """
    planned = plan(paths, prefix=prefix)
    done.refused += [(file, file.flaw) for file in planned if file.flaw]
    fitting = [file for file in planned if not file.flaw]
    if is_plan:
        done.loaded, done.size_bytes = len(fitting), sum(file.size_bytes for file in fitting)
    else:
        with settings.client() as client:
            for _ in _with_progress(fitting, load_files(client, fitting, done, collection=settings.collection)):
                pass


def load_files(client: "Client", files: Iterable[PlannedFile], done: Loaded, *, collection: str) -> Iterator[int]:
    """Loads `files` in batches and keeps count in `done`; yields how many files each step took.

    Raises:
        CallError: the cluster could not take a file; what was loaded before stays.
    """
    for batch in _batches(files):
        yield len(batch)
        contents = [(file, content) for file in batch if (content := _read(file, done)) is not None]
        asked = [client.submit(Range(file.key), collection=collection) for file, _ in contents]
        there = [_value_of(each) for each in asked]
        written: list[tuple[Future[Answer], int]] = []
        for (file, content), value in zip(contents, there, strict=True):
            if value == content:
                done.skipped += 1
                continue
            written.append((client.submit(Put(file.key, content), collection=collection), len(content)))
        for each, size_bytes in written:
            each.result()
            done.loaded += 1
            done.size_bytes += size_bytes


def _batches(files: Iterable[PlannedFile]) -> Iterator[list[PlannedFile]]:
    batch: list[PlannedFile] = []
    size = 0
    for file in files:
        if batch and (len(batch) >= BATCH_FILES or size + file.size_bytes > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size_bytes
    if batch:
        yield batch


def _read(file: PlannedFile, done: Loaded) -> bytes | None:
    """Returns a file's content; None, with a note in `done`, when it cannot be read or has grown over the limit."""
    try:
        with file.path.open("rb") as stream:
            content = stream.read(VALUE_SIZE_MAX + 1)
    except OSError as error:
        done.refused.append((file, f"cannot be read: {error.strerror}"))
        return None
    if len(content) > VALUE_SIZE_MAX:
        done.refused.append((file, f"has more than {VALUE_SIZE_MAX:,} bytes, which is the limit of a value"))
        return None
    return content


def _value_of(asked: "Future[Answer]") -> bytes | None:
    answer = asked.result()
    return answer.items[0].value if isinstance(answer, RangeDone) and answer.items else None


def _with_progress(files: list[PlannedFile], steps: Iterator[int]) -> Iterator[int]:
    """Yields the steps, and shows on a terminal how far they are."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True, no_color=color_wanted() is False)
    columns = ("loading", BarColumn(), MofNCompleteColumn(), "files", TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=len(files))
        before = 0
        for count in steps:
            progress.advance(task, before)
            before = count
            yield count
        progress.advance(task, before)


def report(settings: Settings, done: Loaded, *, is_plan: bool) -> None:
    """Says what was loaded, what was there already, and which files were refused and why."""
    if settings.json:
        write_document(
            {
                "collection": settings.collection,
                "loaded": done.loaded,
                "skipped": done.skipped,
                "size_bytes": done.size_bytes,
                "refused": [
                    {"path": str(file.path), "key": text_of(file.key), "error": flaw} for file, flaw in done.refused
                ],
            }
        )
        return
    verb = "would look at" if is_plan else "loaded"
    write_text(f"{verb} {_files(done.loaded)} ({done.size_bytes:,} bytes), {done.skipped:,} were there already")
    for file, flaw in done.refused[:FLAWS_SHOWN]:
        write_text(f"not loaded: {shown(str(file.path).encode(errors='surrogateescape'))} {flaw}", color="yellow")
    if len(done.refused) > FLAWS_SHOWN:
        write_text(f"not loaded: {len(done.refused) - FLAWS_SHOWN:,} more; --json lists all", color="yellow")


def _files(count: int) -> str:
    return f"{count:,} {'file' if count == 1 else 'files'}"
