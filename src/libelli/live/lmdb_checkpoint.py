"""A checkpoint on disk, in LMDB: data larger than memory, each write atomic and durable.

::

    loop thread                     flush thread
      get ──► reader ◄── renewed ──── write: one transaction, synced
      scan, view ──► transactions of their own: a view keeps its state whatever is written

    directory
      00000007.mdb        the contents; the highest number is valid
      00000007.mdb-lock   who reads what (LMDB's; worth nothing after the process has ended)
      00000001.unfinished an installation; `finish` syncs it, then its new name 00000008.mdb is the switch

A process that is killed at any point leaves the old contents, or the new ones, or both with the new ones valid;
what is left over is removed by the next start.

`get` uses one read transaction that stays open, because to begin one costs as much as the read. A reader keeps
LMDB from using pages again that were freed after it began, so each write ends by putting a new reader in its place.
Reads let go of the interpreter; the lock sees to it that a reader is not replaced under a read. Nothing is written
through the memory map, so a full disk is an error and not a crash.

Source: Chu, MDB: A Memory-Mapped Database and Backend for OpenLDAP, LDAPCon 2011.
"""

import os
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import lmdb

from libelli.core.errors import DiskFullError, StorageError
from libelli.core.ids import ClusterId, NodeId
from libelli.core.versions import CHECKPOINT_VERSION
from libelli.live.disk import storage_error
from libelli.live.lmdb_contents import MAP_SIZE, Contents, Header, lmdb_error, remove_contents
from libelli.live.lmdb_rows import PIECE_SIZE, TABLE_NODES, get_row, scan_rows
from libelli.stores.engine import Item, Run, TableId

_CONTENTS = re.compile(r"(\d{8})\.mdb")
_OURS = re.compile(r"(\d{8}\.(?:mdb|unfinished))(?:-lock)?")
_CLOSED = "the checkpoint is closed: open it again"


class LmdbView:
    """The tables of an `LmdbCheckpoint` as they stood at one moment; used by one thread at a time."""

    __slots__ = ("_contents", "_lock", "_txn")

    def __init__(self, contents: Contents, lock: AbstractContextManager[bool]) -> None:
        self._txn: lmdb.Transaction[bytes] | None = contents.begin()
        self._contents = contents
        self._lock = lock
        contents.views += 1

    def get(self, table: TableId, key: bytes) -> bytes | None:
        """Returns the value of `key`, or None."""
        txn = self.transaction()
        try:
            return get_row(txn, table, key)
        except lmdb.Error as error:
            raise lmdb_error(error, self._contents.path) from error

    def scan(
        self, table: TableId, *, start: bytes = b"", end: bytes | None = None, reverse: bool = False
    ) -> Iterator[Item]:
        """Yields the items with start <= key < end (None: no end) in key order."""
        txn = self.transaction()
        try:
            yield from scan_rows(txn, table, start=start, end=end, reverse=reverse)
        except lmdb.Error as error:
            raise lmdb_error(error, self._contents.path) from error

    def close(self) -> None:
        """Lets go of the view; it cannot be used any more."""
        if self._txn is None:
            return
        with self._lock:
            self._txn.abort()
            self._txn = None
            self._contents.views -= 1
            if self._contents.is_retired and not self._contents.views:
                self._contents.close()

    def transaction(self) -> "lmdb.Transaction[bytes]":
        """Returns what it reads with."""
        if self._txn is None:
            raise StorageError("used after it was closed; take a new view")
        return self._txn


class LmdbInstall:
    """New contents for an `LmdbCheckpoint`."""

    __slots__ = ("_checkpoint", "_contents")

    def __init__(self, checkpoint: "LmdbCheckpoint", contents: Contents) -> None:
        self._checkpoint = checkpoint
        self._contents: Contents | None = contents

    def add(self, runs: Sequence[Run]) -> None:
        """Adds items; each table's runs must come in key order."""
        contents = self._opened()
        while True:
            try:
                return contents.write(runs)
            except lmdb.MapFullError:
                contents.grow()

    def finish(self) -> None:
        """Makes the new contents durable and puts them in the place of the old."""
        contents = self._opened()
        contents.sync()
        self._contents = None
        contents.close()
        self._checkpoint.replace(contents.path)

    def abandon(self) -> None:
        """Throws the new contents away; the old ones stay."""
        if self._contents is not None:
            self._contents.close()
            self._contents.remove()
            self._contents = None

    def _opened(self) -> Contents:
        if self._contents is None:
            raise StorageError("used after it was finished or abandoned; begin a new installation")
        return self._contents


class LmdbCheckpoint:
    """Durable ordered tables in the directory `path`, which is made when it is missing.

    One thread reads; the same or one other thread writes and installs.

    Args:
        path: nothing else may be in it, and no other process may use it.
        cluster: whose data it is.
        node: which node's.
        map_size: address space to begin with.

    Raises:
        DamagedError: the contents are no checkpoint, or not a whole one.
        ForeignError: they belong to another cluster or node, or have another format version.
        StorageError: the directory cannot be used.
    """

    __slots__ = (
        "_contents",
        "_directory",
        "_drafts",
        "_failed",
        "_header",
        "_lock",
        "_map_size",
        "_number",
        "_read",
        "_reader",
    )

    def __init__(self, path: Path, *, cluster: ClusterId, node: NodeId, map_size: int = MAP_SIZE) -> None:
        self._directory = path
        self._header = Header(CHECKPOINT_VERSION, cluster, node)
        self._map_size = map_size
        # Re-entrant: the collector may close a forgotten scan in the middle of a read.
        self._lock = threading.RLock()
        self._failed = ""
        with _translated("open", path):
            _make_directory(path)
            self._drafts = 0
            names = [each.name for each in path.iterdir()]
            self._number = max((int(match[1]) for name in names if (match := _CONTENTS.fullmatch(name))), default=0)
            self._contents = self._open() if self._number else self._create()
            self._clean_up()  # not before: what cannot be opened is left as it is
        self._reader: lmdb.Transaction[bytes] | None = None
        self._read: Callable[[bytes], bytes | None] = _closed
        self._begin_reader()

    def get(self, table: TableId, key: bytes) -> bytes | None:
        """Returns the value of `key`, or None."""
        try:
            with self._lock:
                if len(key) <= PIECE_SIZE:
                    return self._read(TABLE_NODES[table] + key)
                return get_row(self._opened(), table, key)
        except lmdb.Error as error:
            raise lmdb_error(error, self._contents.path) from error

    def scan(
        self, table: TableId, *, start: bytes = b"", end: bytes | None = None, reverse: bool = False
    ) -> Iterator[Item]:
        """Yields the items with start <= key < end (None: no end) in key order, as they stand at the first."""
        view = self.view()
        try:
            yield from scan_rows(view.transaction(), table, start=start, end=end, reverse=reverse)
        except lmdb.Error as error:
            raise lmdb_error(error, self._contents.path) from error
        finally:
            view.close()

    def write(self, runs: Sequence[Run]) -> None:
        """Applies all runs in one atomic step and returns when it is durable.

        Raises:
            DiskFullError: nothing was changed; may be tried again.
            StorageError: the checkpoint cannot be used any more.
        """
        with self._writing():
            while True:
                try:
                    self._contents.write(runs)
                    break
                except lmdb.MapFullError:
                    self._grow()
            with self._lock:
                self._end_reader()
                self._begin_reader()

    def view(self) -> LmdbView:
        """Returns the tables as they stand now."""
        with self._lock:
            self._opened()
            return LmdbView(self._contents, self._lock)

    def install(self) -> LmdbInstall:
        """Begins new contents; views that are open keep the old ones."""
        with self._writing():
            return LmdbInstall(self, self._begin_contents())

    def replace(self, unfinished: Path) -> None:
        """Puts a file that is durable in the place of the contents; an `Install` ends with it."""
        with self._writing():
            new = self._adopt(unfinished)
            with self._lock:
                old, self._contents = self._contents, new
                self._end_reader()
                self._begin_reader()
                old.is_retired = True
                if not old.views:
                    old.close()
            old.remove()

    def close(self) -> None:
        """Lets go of everything, views too; what was written stays."""
        with self._lock:
            self._end_reader()
            self._failed = self._failed or _CLOSED
            self._contents.close()

    def _begin_reader(self) -> None:
        self._reader = self._contents.begin()
        self._read = self._reader.get

    def _end_reader(self) -> None:
        self._read = _closed
        if self._reader is not None:
            self._reader.abort()
            self._reader = None

    def _opened(self) -> "lmdb.Transaction[bytes]":
        if self._reader is None:
            raise StorageError(self._failed or _CLOSED)
        return self._reader

    def _grow(self) -> None:
        with self._lock:
            if self._contents.views:
                # The map moves, and a view is of the old place. Views of snapshots close by themselves.
                raise DiskFullError(
                    f"checkpoint {self._contents.path}: its map is full and {self._contents.views} views are open:"
                    " it grows when they are closed, at most half a minute after their last use"
                )
            self._end_reader()
            self._contents.grow()
            self._begin_reader()

    def _begin_contents(self) -> Contents:
        self._drafts += 1
        path = self._directory / f"{self._drafts:08d}.unfinished"
        try:
            return Contents.new(path, self._header, map_size=self._map_size)
        except BaseException:
            remove_contents(path)
            raise

    def _adopt(self, unfinished: Path) -> Contents:
        """Makes a durable file the valid one, by giving it the highest number, and opens it.

        Raises:
            StorageError: also for want of room: once it has its name nobody may go on with the old contents.
        """
        unfinished.rename(self._path(self._number + 1))
        self._number += 1
        try:
            remove_contents(unfinished)
            _sync_directory(self._directory)
            return self._open()
        except (OSError, DiskFullError) as error:
            raise StorageError(
                f"checkpoint {self._path(self._number)} was to replace the one before: {error}: which of them is"
                " valid is found out by a new start"
            ) from error

    def _open(self) -> Contents:
        return Contents.existing(self._path(self._number), self._header, map_size=self._map_size)

    def _create(self) -> Contents:
        for path in self._directory.iterdir():
            if _OURS.fullmatch(path.name):
                path.unlink()  # begun, and never valid
        first = self._begin_contents()
        first.sync()
        first.close()
        return self._adopt(first.path)

    def _clean_up(self) -> None:
        """Removes what is not the valid contents."""
        for path in self._directory.iterdir():
            match = _OURS.fullmatch(path.name)
            if match and match[1] != self._path(self._number).name:
                path.unlink()

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:08d}.mdb"

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Remembers a failure that is not for want of room: what is on the disk is unknown then."""
        if self._failed:
            raise StorageError(self._failed)
        try:
            with _translated("write", self._directory):
                yield
        except DiskFullError:
            raise
        except StorageError as error:
            self._failed = str(error)
            raise


def _closed(_key: bytes) -> None:
    raise StorageError(_CLOSED)


def _make_directory(path: Path) -> None:
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated(what: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise storage_error(error, f"{what} checkpoint {path}") from error
