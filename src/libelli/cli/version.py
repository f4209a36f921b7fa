"""`libelli version`: what runs here, and which formats it speaks."""

import typer

from libelli.cli.output import write_document, write_text
from libelli.cli.settings import OUTPUT_OPTIONS, Settings, command

commands = typer.Typer()


@command(commands, "version", panel="This installation", options=OUTPUT_OPTIONS)
def version(settings: Settings) -> None:
    """Show the version of this installation and of the formats that it reads and writes."""
    import platform

    from libelli import __version__
    from libelli.core.versions import CHECKPOINT_VERSION, LOG_VERSION, OLDEST_WIRE_VERSION, WIRE_VERSION

    document = {
        "version": __version__,
        "python": platform.python_version(),
        "wire": WIRE_VERSION,
        "oldest_wire": OLDEST_WIRE_VERSION,
        "log": LOG_VERSION,
        "checkpoint": CHECKPOINT_VERSION,
    }
    if settings.json:
        write_document(document)
        return
    write_text(f"libelli {__version__} (Python {platform.python_version()})")
    write_text(
        f"formats: wire {OLDEST_WIRE_VERSION} to {WIRE_VERSION}, log {LOG_VERSION}, checkpoint {CHECKPOINT_VERSION}"
    )
