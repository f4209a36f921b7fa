"""The `libelli` command."""

from libelli.cli.application import main, run

__all__ = ["main", "run"]
