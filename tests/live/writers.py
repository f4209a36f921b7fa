"""Clients that write through thick and thin: one frame at a time in one session, repeated until it is answered.

A frame that may have happened is sent again with its own session and sequence number, to whichever node leads; the
replicas see to it that it is applied once.
"""

import ssl
import threading
import time
from collections.abc import Callable

from libelli.core.calls import Done, Refusal, SessionOpened
from libelli.core.errors import Code, LibelliError
from libelli.core.ids import NO_SESSION
from libelli.stores.mvcc.commands import Failed, Put
from tests.live.cluster import Cluster
from tests.live.sessions import RawSession, answers_decoder

RETRY_S = 0.02


class Writer(threading.Thread):
    """Puts `PREFIX/0`, `PREFIX/1`, … until it is told to stop."""

    def __init__(self, cluster: Cluster, prefix: str, *, stopping: threading.Event) -> None:
        super().__init__(name=f"writer {prefix}", daemon=True)
        self.prefix = prefix
        self.acknowledged = 0
        self.repeated = 0
        self.problem: BaseException | None = None
        self._cluster = cluster
        self._stopping = stopping
        self._connection: RawSession | None = None
        self._session = NO_SESSION
        self._number = 0

    def key(self, number: int) -> bytes:
        return f"{self.prefix}/{number}".encode()

    def run(self) -> None:
        try:
            self._insist(self._open)
            while not self._stopping.is_set():
                self._insist(self._put)
                self.acknowledged += 1
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.problem = error
        finally:
            self._disconnect()

    def _insist(self, ask: Callable[[RawSession], bool]) -> None:
        """Asks one node after the other until one has done it."""
        tries = 0
        while True:
            try:
                if ask(self._connected()):
                    return
            except (OSError, ssl.SSLError, LibelliError):
                self._disconnect()
            tries += 1
            self.repeated += 1
            if tries > 3000:
                raise AssertionError(f"{self.name} is stuck at {self.acknowledged}")
            time.sleep(RETRY_S)

    def _open(self, connection: RawSession) -> bool:
        reply = connection.open()
        if isinstance(reply, SessionOpened):
            self._session = reply.session
            return True
        return self._move(reply)

    def _put(self, connection: RawSession) -> bool:
        sequence = self.acknowledged + 1
        command = Put(self.key(self.acknowledged), b"v%d" % self.acknowledged)
        reply = connection.write([command], sequence=sequence, session=self._session)
        if isinstance(reply, Done):
            (answer,) = answers_decoder.decode(reply.answers)
            assert not isinstance(answer, Failed), answer
            return True
        return self._move(reply)

    def _move(self, refusal: Refusal) -> bool:
        if refusal.code in (Code.SESSION_EXPIRED, Code.OUT_OF_ORDER, Code.INVALID, Code.SESSION_UNKNOWN):
            raise AssertionError(f"{self.name}: {refusal}")
        self._disconnect()
        if refusal.leader:
            self._number = refusal.leader - 1
        return False

    def _connected(self) -> RawSession:
        if self._connection is None:
            self._number = self._number % len(self._cluster.nodes) + 1
            self._connection = self._cluster.session(self._number, timeout_s=5.0)
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.socket.close()
            self._connection = None
