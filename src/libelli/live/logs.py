"""What a node writes to its log: one line an event, for people or for programs.

::

    2026-03-01T09:30:00.123Z INFO    peer is connected  peer=beta node=2           text, for a terminal
    {"time": "2026-03-01T09:30:00.123Z", "level": "info", "event": …, "peer": "beta", "node": 2}       json

A call names its event in constant words and hands over what differs as fields, so that lines can be counted::

    _log.info("peer is connected", extra=fields(peer=name, node=node))
"""

import json
import logging
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

_FIELDS = "libelli_fields"


class LogFormat(StrEnum):
    """How a line looks."""

    AUTO = "auto"
    """Text on a terminal, else JSON."""
    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """What is written: this and everything graver."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def fields(**values: object) -> dict[str, dict[str, object]]:
    """Returns the `extra` of a logging call that carries these fields."""
    return {_FIELDS: values}


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Returns the fields that a record carries."""
    found: dict[str, Any] = getattr(record, _FIELDS, {})
    return found


class TextFormatter(logging.Formatter):
    """One line for people; an exception follows on lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        pairs = " ".join(f"{name}={_shown(value)}" for name, value in fields_of(record).items())
        line = f"{_time(record)} {record.levelname:<7} {record.getMessage()}"
        line = f"{line}  {pairs}" if pairs else line
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        document = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            **fields_of(record),
        }
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False, default=str)


def configure_logs(*, level: LogLevel, form: LogFormat, stream: TextIO | None = None) -> None:
    """Sends everything that is logged in this process to `stream` (default: standard error)."""
    stream = stream or sys.stderr
    is_text = form is LogFormat.TEXT or (form is LogFormat.AUTO and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if is_text else JsonFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    set_log_level(level)


def set_log_level(level: LogLevel) -> None:
    """Changes what is written from now on."""
    logging.getLogger().setLevel(level.upper())
    # Libraries speak up only when something is wrong, unless they are what is looked at.
    for library in ("asyncio", "grpc", "uvicorn"):
        logging.getLogger(library).setLevel("DEBUG" if level is LogLevel.DEBUG else "WARNING")


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _shown(value: object) -> str:
    text = str(value)
    plain = text and text.isprintable() and not any(c in text for c in ' "=')
    return text if plain else json.dumps(text, ensure_ascii=False)
