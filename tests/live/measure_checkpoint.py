"""What the checkpoint on disk costs: memory and time for two million keys, single reads, flushes beside a busy thread.

Run it as `python tests/live/measure_checkpoint.py [DIRECTORY]`; the disk is the one of DIRECTORY, by default this one.
It writes about 500 MiB and takes some ten seconds.
"""

import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from libelli.core.ids import ClusterId, NodeId
from libelli.host.chunks import Rows
from libelli.live.lmdb_checkpoint import LmdbCheckpoint

COUNT = 2_000_000
BATCH = 50_000
VALUE = b"v" * 128
SWITCH_INTERVAL_S = 0.0002
"""As in a node."""


def key(number: int) -> bytes:
    return b"key%012d" % number


def report(what: str, value: float, unit: str) -> None:
    sys.stdout.write(f"{what:52} {value:9.2f} {unit}\n")


def anonymous_mib() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:")) / 1024


def opened(path: Path) -> LmdbCheckpoint:
    return LmdbCheckpoint(path, cluster=ClusterId("c" * 32), node=NodeId(1))


def each_us(call: Callable[[bytes], object], keys: Sequence[bytes]) -> float:
    """Returns the best mean of three rounds, in microseconds."""
    means = []
    for _ in range(3):
        began = time.perf_counter()
        for each in keys:
            call(each)
        means.append((time.perf_counter() - began) / len(keys) * 1e6)
    return min(means)


def flush_us(checkpoint: LmdbCheckpoint, items: Sequence[tuple[bytes, bytes]]) -> float:
    began = time.perf_counter()
    checkpoint.write([Rows(1, items)])
    return (time.perf_counter() - began) / len(items) * 1e6


def flush_beside_us(checkpoint: LmdbCheckpoint, items: Sequence[tuple[bytes, bytes]]) -> float:
    """As `flush_us`, while this thread computes."""
    taken: list[float] = []
    thread = threading.Thread(target=lambda: taken.append(flush_us(checkpoint, items)))
    thread.start()
    while thread.is_alive():
        sum(range(30))
    return taken[0]


def load(checkpoint: LmdbCheckpoint) -> None:
    before = anonymous_mib()
    began = time.perf_counter()
    for first in range(0, COUNT, BATCH):
        checkpoint.write([Rows(1, [(key(number), VALUE) for number in range(first, first + BATCH)])])
    report(f"load {COUNT} keys of 15 B with 128 B, in order", (time.perf_counter() - began) / COUNT * 1e6, "µs a key")
    report("anonymous memory they added", anonymous_mib() - before, "MiB")


def read(checkpoint: LmdbCheckpoint, dice: random.Random) -> None:
    keys = [key(dice.randrange(COUNT)) for _ in range(20_000)]
    hot = keys[:100] * 200
    report("get, any key", each_us(lambda each: checkpoint.get(1, each), keys), "µs")
    report("get, one of 100 keys", each_us(lambda each: checkpoint.get(1, each), hot), "µs")
    report("first row of a scan", each_us(lambda each: next(checkpoint.scan(1, start=each)), hot), "µs")
    began = time.perf_counter()
    count = sum(1 for _ in checkpoint.scan(1, end=key(200_000)))
    report("each further row", (time.perf_counter() - began) / count * 1e6, "µs")


def flush(checkpoint: LmdbCheckpoint, dice: random.Random) -> None:
    before = anonymous_mib()
    scattered = sorted({key(dice.randrange(COUNT)): VALUE for _ in range(20_000)}.items())
    for name, prefix in (("alone", b"l"), ("beside a computing thread", b"m")):
        measured = flush_us if name == "alone" else flush_beside_us
        report(f"flush 20000 keys all over, {name}", measured(checkpoint, scattered), "µs a key")
        behind = [(prefix + each, VALUE) for each, _ in scattered]
        report(f"flush 20000 keys behind the last, {name}", measured(checkpoint, behind), "µs a key")
    report("anonymous memory that stays", anonymous_mib() - before, "MiB")


def main() -> None:
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    dice = random.Random(1)
    parent = sys.argv[1] if len(sys.argv) > 1 else "."
    with tempfile.TemporaryDirectory(dir=parent) as directory:
        path = Path(directory, "checkpoint")
        checkpoint = opened(path)
        load(checkpoint)
        checkpoint.close()
        began = time.perf_counter()
        checkpoint = opened(path)
        report("open", (time.perf_counter() - began) * 1e3, "ms")
        read(checkpoint, dice)
        flush(checkpoint, dice)
        checkpoint.close()


if __name__ == "__main__":
    main()
