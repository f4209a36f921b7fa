"""Waiting for room on a full disk: later and later tries, one line in the log, an alarm until it is over."""

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

from libelli.core.errors import DiskFullError, LibelliError

T = TypeVar("T")

FIRST_DELAY_S = 0.05
DELAY_S_MAX = 1.0

_log = logging.getLogger(__name__)


class GaveUpError(LibelliError):
    """The process stops while there is still no room; what was to be written was never answered for."""


class Room:
    """Repeats one thread's writes until there is room for them.

    Args:
        what: is written, for people.
        stopping: ends the waiting.
    """

    def __init__(self, what: str, *, stopping: threading.Event) -> None:
        self._what = what
        self._stopping = stopping
        self.missing = ""
        """Why the last try failed; empty while there is room. Any thread may read it."""

    def insist(self, write: Callable[[], T]) -> T:
        """Returns what `write` returns, as soon as there is room for it.

        Raises:
            GaveUpError: the process stops.
        """
        delay_s = FIRST_DELAY_S
        while True:
            try:
                result = write()
            except DiskFullError as error:
                if not self.missing:
                    _log.error("the disk is full, the %s waits: %s", self._what, error)
                self.missing = str(error)
            else:
                if self.missing:
                    _log.info("the disk has room again, the %s goes on", self._what)
                self.missing = ""
                return result
            if self._stopping.wait(delay_s):
                raise GaveUpError(f"the disk is full, and the {self._what} cannot be written: {self.missing}")
            delay_s = min(2 * delay_s, DELAY_S_MAX)
