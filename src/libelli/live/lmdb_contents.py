"""One LMDB file: who it belongs to, whether it is whole, and its transactions.

LMDB never overwrites a page that a durable state needs: a commit writes new pages, syncs, writes one of two meta
pages, and syncs. So a file is always the state after some commit, and a commit that found no room has changed
nothing. What LMDB does not notice by itself is a file that was cut: reading behind its end would kill the process.
"""

import errno
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import lmdb
import lmdb.verify
from msgspec import Struct

from libelli.core.codec import Decoder, encode
from libelli.core.errors import CodecError, DamagedError, DiskFullError, ForeignError, StorageError
from libelli.core.limits import MIB
from libelli.core.versions import CHECKPOINT_VERSION
from libelli.live.disk import NO_DESCRIPTOR, NO_ROOM
from libelli.live.lmdb_rows import write_run
from libelli.stores.engine import Run

MAP_SIZE = 64 * 1024 * MIB
"""Address space for a file, not memory and not disk; it doubles when the file is about to outgrow it."""
ROOM_SIZE = 256 * MIB
"""A disk that has less than this is taken for full when a write fails in part: one write may touch as many pages."""
ADVICE = (
    "remove this node's data directory, remove the node from the cluster and add it again: the others have the data;"
    " without others restore a snapshot"
)
_FILE_MODE = 0o600
_HEADER_ROW = b"\0header"
_DAMAGE = (lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageFullError, lmdb.PageNotFoundError)


class Header(Struct, frozen=True, array_like=True):
    """Whose contents they are; later versions may add fields at the end."""

    version: int
    cluster: str
    node: int


_header_decoder: Decoder[Header] = Decoder(Header, name="checkpoint header")


def lmdb_error(error: lmdb.Error, path: Path) -> StorageError:
    """Returns the error of our tree for one of LMDB."""
    code = getattr(error, "code", 0)  # those that the binding finds by itself have none
    if code in NO_ROOM or isinstance(error, lmdb.MapFullError):
        return DiskFullError(f"checkpoint {path}: {error}: free some space; writes wait until then")
    if code in NO_DESCRIPTOR:
        return DiskFullError(f"checkpoint {path}: {error}: writes wait until connections end, or raise the limit")
    if isinstance(error, _DAMAGE):
        return DamagedError(f"checkpoint {path} is damaged ({error}): {ADVICE}")
    if isinstance(error, lmdb.VersionMismatchError):
        return ForeignError(f"checkpoint {path}: {error}: start it with the version of libelli that wrote it")
    if code == errno.ENOMEM or isinstance(error, lmdb.MemoryError):
        return StorageError(f"checkpoint {path}: {error}: no address space for it; raise the limit (ulimit -v)")
    return StorageError(f"checkpoint {path}: {error}: look at the disk, then start again")


class Contents:
    """An open file.

    Args:
        path: of the file; its locks stand beside it under the same name with "-lock".
        map_size: address space to begin with.
        is_synced: whether each write is durable when it returns; else `finish` makes all of them durable.

    Raises:
        StorageError: see `lmdb_error`.
    """

    def __init__(self, path: Path, *, map_size: int = MAP_SIZE, is_synced: bool = True) -> None:
        self.path = path
        self.views = 0
        """Open read transactions that must not be lost; counted under the checkpoint's lock."""
        self.is_retired = False
        size = path.stat().st_size if path.exists() else 0
        while map_size < 2 * size:
            map_size *= 2
        self._map_size = map_size
        try:
            self._env = lmdb.open(
                str(path),
                map_size=map_size,
                subdir=False,
                mode=_FILE_MODE,
                readahead=False,  # the data may be larger than memory, and reads are of single keys
                max_spare_txns=1,
                sync=is_synced,
            )
        except lmdb.Error as error:
            raise lmdb_error(error, path) from error

    @classmethod
    def new(cls, path: Path, header: Header, *, map_size: int = MAP_SIZE) -> "Contents":
        """Makes a file that nothing is durable in before `sync`."""
        contents = cls(path, map_size=map_size, is_synced=False)
        try:
            with contents._env.begin(write=True) as txn:
                txn.put(_HEADER_ROW, encode(header))
        except lmdb.Error as error:
            contents.close()
            raise contents._write_error(error) from error
        return contents

    @classmethod
    def existing(cls, path: Path, header: Header, *, map_size: int = MAP_SIZE) -> "Contents":
        """Opens a file that must be there, whole, and ours.

        Raises:
            DamagedError: it is no checkpoint, or not a whole one.
            ForeignError: it belongs to another cluster or node, or has another format version.
        """
        if not path.stat().st_size:
            raise DamagedError(f"checkpoint {path} is empty: {ADVICE}")
        contents = cls(path, map_size=map_size)
        try:
            contents._check_size()
            contents._check_header(header)
        except BaseException:
            contents.close()
            raise
        return contents

    def begin(self) -> "lmdb.Transaction[bytes]":
        """Returns a read transaction."""
        try:
            return self._env.begin()
        except lmdb.Error as error:
            raise lmdb_error(error, self.path) from error

    def write(self, runs: Sequence[Run]) -> None:
        """Applies runs in one atomic step.

        Raises:
            lmdb.MapFullError: nothing was changed; `grow` and write again.
            DiskFullError: nothing was changed.
            StorageError: the file cannot be used any more.
        """
        try:
            with self._env.begin(write=True) as txn:
                for run in runs:
                    write_run(txn, run)
        except lmdb.MapFullError:
            raise
        except lmdb.Error as error:
            raise self._write_error(error) from error
        with suppress(OSError):  # what was written is durable; the file only looks cut to the next start
            self._extend()

    def grow(self) -> None:
        """Doubles the address space; no transaction may be open."""
        self._map_size *= 2
        try:
            self._env.set_mapsize(self._map_size)
        except lmdb.Error as error:
            raise lmdb_error(error, self.path) from error

    def sync(self) -> None:
        """Makes everything durable that was written without syncs."""
        try:
            self._env.sync(True)
        except lmdb.Error as error:
            raise lmdb_error(error, self.path) from error

    def close(self) -> None:
        """Lets go of the file; open transactions cannot be used any more."""
        self._env.close()

    def remove(self) -> None:
        """Removes the file's name; open transactions keep what it holds."""
        remove_contents(self.path)

    def _write_error(self, error: lmdb.Error) -> StorageError:
        # A write that the disk took only in part is "input/output error" to LMDB, though the disk is only full.
        if getattr(error, "code", 0) == errno.EIO and (why := self._why_no_room()):
            return DiskFullError(f"checkpoint {self.path}: {why}: free some space; writes wait until then")
        return lmdb_error(error, self.path)

    def _why_no_room(self) -> str:
        """Tries whether the file could grow; whatever it does to the file is undone."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            try:
                os.posix_fallocate(descriptor, size, ROOM_SIZE)
            except OSError as error:
                return str(error.strerror) if error.errno in NO_ROOM else ""
            finally:
                os.ftruncate(descriptor, size)
        finally:
            os.close(descriptor)
        return ""

    def _check_size(self) -> None:
        """Stops at a file that was cut.

        A whole file may end before its last page: pages that were taken and given back in one commit are not
        written. `write` sets the end right, but not durably. So only a file that is short is read as a whole.
        """
        if self.path.stat().st_size >= self._whole_size():
            return
        try:
            problems = lmdb.verify.verify(str(self.path), subdir=False)
        except lmdb.verify.VerifyError as error:
            problems = [str(error)]
        if problems:
            raise DamagedError(f"checkpoint {self.path} is damaged ({problems[0]}): {ADVICE}")
        self._extend()

    def _whole_size(self) -> int:
        return (self._env.info()["last_pgno"] + 1) * self._env.stat()["psize"]

    def _extend(self) -> None:
        """Moves the end of the file to where LMDB believes it to be: reading behind it ends the process."""
        whole_size = self._whole_size()
        if self.path.stat().st_size < whole_size:
            os.truncate(self.path, whole_size)

    def _check_header(self, header: Header) -> None:
        try:
            with self._env.begin() as txn:
                row = txn.get(_HEADER_ROW)
            found = _header_decoder.decode(row or b"")
        except lmdb.Error as error:
            raise lmdb_error(error, self.path) from error
        except CodecError as error:
            raise DamagedError(f"checkpoint {self.path} does not say whose it is ({error}): {ADVICE}") from error
        if found.version != header.version:
            raise ForeignError(
                f"checkpoint {self.path} has format version {found.version}, this version of libelli reads "
                f"{CHECKPOINT_VERSION}: start it with the version that wrote it"
            )
        if found != header:
            raise ForeignError(
                f"checkpoint {self.path} belongs to node {found.node} of cluster {found.cluster}, not to node "
                f"{header.node} of cluster {header.cluster}: give each replica the data directory that is its own"
            )


def remove_contents(path: Path) -> None:
    """Removes a file and its locks, as far as they are there."""
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}-lock").unlink(missing_ok=True)
