"""The calendar time that certificates live in; handed in, so that tests choose the day."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Returns the time of this machine."""
    return datetime.now(UTC)
