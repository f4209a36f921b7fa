"""Lines that people can type: printed where the next step is another command."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from libelli.live.cluster_file import Place


def serve_line(folder: Path, place: "Place") -> str:
    """Returns the command that starts a replica by hand."""
    from libelli.live.replica_files import configuration_path

    return f"{program()} serve --config {shlex.quote(short(configuration_path(folder, place)))}"


def program() -> str:
    """Returns how people call this program from here: as it was called now."""
    called = Path(sys.argv[0])
    if called.name != "libelli":
        return f"{shlex.quote(sys.executable)} -m libelli.cli"
    return shlex.quote(short(called))


def short(path: Path) -> str:
    """Returns a path as it is written from here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_absolute() and path.is_relative_to(here) else path)


def up_line(folder: Path) -> str:
    """Returns the command that starts the cluster in `folder`."""
    return f"{program()} up --data {shlex.quote(short(folder))}"
