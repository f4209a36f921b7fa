"""What a command costs in the store: microseconds of processor time, over a checkpoint in memory or in LMDB.

Run it as `python tests/stores/mvcc/measure_store.py [memory|lmdb]`. Frames have 100 puts of 17-byte keys and
100-byte values, in an order that has nothing to do with that of the keys; reads are frames of one.
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from libelli.core import ClusterId, NodeId
from libelli.live.lmdb_checkpoint import LmdbCheckpoint
from libelli.stores.engine import Checkpoint
from libelli.stores.memory import MemoryCheckpoint
from libelli.stores.mvcc import Store
from libelli.stores.mvcc.commands import Command, Compact, Put, Range
from libelli.stores.overlay import Overlay

KEYS = 200_000
FRAME = 100
VALUE = b"v" * 100
READS = 20_000
SEED = 1

Frames = list[list[Command]]


@contextmanager
def checkpoint_of(kind: str) -> Iterator[Checkpoint]:
    if kind == "memory":
        yield MemoryCheckpoint()
        return
    with tempfile.TemporaryDirectory() as directory:
        checkpoint = LmdbCheckpoint(Path(directory, "store"), cluster=ClusterId("measured"), node=NodeId(1))
        try:
            yield checkpoint
        finally:
            checkpoint.close()


def tell(name: str, count: int, work: Callable[[], object]) -> None:
    began = time.process_time()
    work()
    sys.stdout.write(f"{name:34} {(time.process_time() - began) / count * 1e6:6.2f} µs\n")


def put_all(store: Store, frames: Sequence[Sequence[Command]]) -> None:
    for frame in frames:
        store.apply(frame)


def watch_all(store: Store, frames: Frames) -> None:
    store.watching = True
    for frame in frames:
        store.apply(frame)
        store.take_changes()
    store.watching = False


def read_all(store: Store, commands: Sequence[Command]) -> None:
    for command in commands:
        store.read([command])


def scrub_all(store: Store) -> None:
    store.apply([Compact(store.revision)])
    while store.scrub(500):
        pass


def measure(checkpoint: Checkpoint) -> None:
    dice = random.Random(SEED)
    overlay = Overlay(checkpoint)
    store = Store(overlay)
    keys = [b"key/%013d" % (at * 7919 % 1_000_003) for at in range(KEYS)]
    frames: Frames = [[Put(key, VALUE) for key in keys[at : at + FRAME]] for at in range(0, KEYS, FRAME)]
    tell("put, a new key", KEYS, lambda: put_all(store, frames))
    dice.shuffle(frames)
    quarter = len(frames) // 4
    count = quarter * FRAME
    tell("put, the key is in the overlay", count, lambda: put_all(store, frames[:quarter]))
    checkpoint.write(overlay.freeze())
    overlay.flushed()
    tell("put, the key is in the checkpoint", count, lambda: put_all(store, frames[:quarter]))
    tell("put, always the same key", count, lambda: put_all(store, [[Put(b"hot", VALUE)] * FRAME] * quarter))
    tell("put, a frame of one", count, lambda: put_all(store, [[put] for frame in frames[:quarter] for put in frame]))
    tell("put, watched", count, lambda: watch_all(store, frames[quarter : 2 * quarter]))
    chosen = dice.sample(keys, READS)
    tell("get", READS, lambda: read_all(store, [Range(key) for key in chosen]))
    past = store.revision - 2 * count
    tell("get, of an old revision", READS, lambda: read_all(store, [Range(key, revision=past) for key in chosen]))
    tell("get, the hot key of old", READS, lambda: read_all(store, [Range(b"hot", revision=past - count // 2)] * READS))
    ordered = sorted(keys)
    middle = Range(ordered[KEYS // 2], ordered[KEYS // 2 + 1000])
    tell("a key of a range of 1000", 100_000, lambda: read_all(store, [middle] * 100))
    tell("freeing, a record", store.revision, lambda: scrub_all(store))


def main() -> None:
    with checkpoint_of(sys.argv[1] if len(sys.argv) > 1 else "memory") as checkpoint:
        measure(checkpoint)


if __name__ == "__main__":
    main()
