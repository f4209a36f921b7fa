"""Writes answers to stdout: JSON documents, JSON lines, text for people, exact bytes."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import typer


def write_document(document: Mapping[str, Any]) -> None:
    """Writes one JSON document: indented for a terminal, on one line for programs."""
    indent = 2 if sys.stdout.isatty() else None
    write_bytes(json.dumps(document, ensure_ascii=False, indent=indent).encode() + b"\n")


def write_list(documents: Sequence[Mapping[str, Any]]) -> None:
    """Writes a JSON array: indented for a terminal, on one line for programs."""
    indent = 2 if sys.stdout.isatty() else None
    write_bytes(json.dumps(documents, ensure_ascii=False, indent=indent).encode() + b"\n")


def write_line(document: Mapping[str, Any]) -> None:
    """Writes one line of a stream of JSON documents, at once."""
    write_bytes(json.dumps(document, ensure_ascii=False).encode() + b"\n")
    sys.stdout.flush()


def write_long_document(fields: Mapping[str, Any], name: str, items: Iterable[Any]) -> None:
    """Writes a JSON document whose field `name` is a list that need not fit into memory, then its other `fields`.

    `fields` is read after the last item, so it may be filled while the items are produced.
    """
    write_bytes(f"{{{json.dumps(name)}: [".encode())
    separator = b""
    for item in items:
        write_bytes(separator + json.dumps(item, ensure_ascii=False).encode())
        separator = b", "
    rest = json.dumps(fields, ensure_ascii=False)[1:].encode()
    write_bytes(b"]" + (b", " if fields else b"") + rest + b"\n")


def write_text(text: str, *, color: str | None = None) -> None:
    """Writes one line for people; `color` shows on a terminal only."""
    typer.secho(text, fg=color, color=color_wanted())


def write_note(text: str) -> None:
    """Writes one line beside the answer: to stderr, and only where a person reads it."""
    if sys.stderr.isatty():
        typer.secho(text, err=True, dim=True, color=color_wanted())


def write_bytes(data: bytes) -> None:
    """Writes exactly `data`."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)


def write_value(value: bytes) -> None:
    """Writes a value for people.

    Text that does not end its last line gets that end; on a terminal, bytes that could steer it are escaped.
    """
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    if sys.stdout.isatty():
        value = _harmless(value.decode("utf-8", errors="backslashreplace")).encode()
    write_bytes(value)
    if text is None and not sys.stdout.isatty():
        return
    if not value.endswith(b"\n"):
        write_bytes(b"\n")


def color_wanted() -> bool | None:
    """Returns False when colours are not wanted, None to let the terminal decide."""
    return False if os.environ.get("NO_COLOR") else None


def _harmless(text: str) -> str:
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode("ascii") for c in text)
