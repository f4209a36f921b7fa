"""Who waits for what: calls of clients between their arrival and their answer."""

from msgspec import Struct

from libelli.core.calls import KeepAlive, Read, ReadSnapshot
from libelli.core.members import Member
from libelli.stores.mvcc.commands import Command


class WriteWaiter(Struct, frozen=True):
    """Waits for a frame to be applied; `commands` are decoded already."""

    connection: int
    call: int
    commands: list[Command]


class SessionWaiter(Struct, frozen=True):
    """Waits for a session to be opened."""

    connection: int
    call: int


class ChangeWaiter(Struct, frozen=True):
    """Waits for a change of members or leadership; a new `member` is answered with its number."""

    connection: int
    call: int
    member: Member | None


class ReadWaiter(Struct, frozen=True):
    """Waits until a read is known to be current."""

    connection: int
    call: Read
    commands: list[Command]


class KeepAliveWaiter(Struct, frozen=True):
    """Waits until the leader knows that it still leads, so that a renewed lease is really renewed."""

    connection: int
    call: KeepAlive


class ExportWaiter(Struct, frozen=True):
    """Waits until a copy of everything would hold all that was answered before."""

    connection: int
    call: ReadSnapshot


QueryWaiter = ReadWaiter | KeepAliveWaiter | ExportWaiter


class QueryBatch(Struct, frozen=True):
    """All that one confirmation of leadership serves."""

    queries: list[QueryWaiter]


Waiting = WriteWaiter | SessionWaiter | ChangeWaiter | QueryBatch
