"""Checkpoints whose contents outlive them: how each kind is opened, closed and killed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from libelli.core.ids import ClusterId, NodeId
from libelli.live.lmdb_checkpoint import LmdbCheckpoint
from libelli.stores.engine import Checkpoint
from libelli.stores.memory import MemoryCheckpoint

CLUSTER = ClusterId("0123456789abcdef" * 2)
NODE = NodeId(1)


class Kept(Protocol):
    """What one checkpoint leaves behind for the next."""

    def open(self) -> Checkpoint:
        """Returns a checkpoint with the contents that were kept."""
        ...

    def kill(self) -> None:
        """Ends the open checkpoint as the process's sudden end would."""
        ...

    def close(self) -> None:
        """Closes the open checkpoint in good order."""
        ...


class KeptInMemory:
    """The object is the disk."""

    def __init__(self, directory: Path) -> None:
        self._checkpoint = MemoryCheckpoint()

    def open(self) -> Checkpoint:
        return self._checkpoint

    def kill(self) -> None:
        pass

    def close(self) -> None:
        self._checkpoint.close()


class KeptInLmdb:
    """Files; a killed process leaves them as the kernel had them at that moment: a copy."""

    def __init__(self, directory: Path) -> None:
        self._base = directory
        self._lives = 0
        self._checkpoint: LmdbCheckpoint | None = None

    @property
    def path(self) -> Path:
        return self._base / f"life-{self._lives}"

    def open(self) -> Checkpoint:
        self._checkpoint = LmdbCheckpoint(self.path, cluster=CLUSTER, node=NODE, map_size=1 << 20)
        return self._checkpoint

    def kill(self) -> None:
        before = self.path
        self._lives += 1
        shutil.copytree(before, self.path)
        if self._checkpoint is not None:
            self._checkpoint.close()
        shutil.rmtree(before)

    def close(self) -> None:
        if self._checkpoint is not None:
            self._checkpoint.close()


KINDS: dict[str, Callable[[Path], Kept]] = {"memory": KeptInMemory, "lmdb": KeptInLmdb}
