"""How long 4 KiB take to be durable in a file that was filled, reserved or left empty before.

Run it as `python tests/live/measure_disk.py [DIRECTORY]`; the disk is the one of DIRECTORY, by default this one.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SIZE = 64 * 1024 * 1024
WRITES = 400
BLOCK = b"x" * 4096


def fill(descriptor: int) -> None:
    zeros = bytes(1024 * 1024)
    for offset in range(0, SIZE, len(zeros)):
        os.pwrite(descriptor, zeros, offset)


def reserve(descriptor: int) -> None:
    os.posix_fallocate(descriptor, 0, SIZE)


def leave_empty(descriptor: int) -> None:
    pass


def measure(path: Path, prepare: Callable[[int], None]) -> tuple[float, list[float]]:
    """Returns the milliseconds of preparing, and the sorted microseconds of each write and sync."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    began = time.perf_counter()
    prepare(descriptor)
    os.fsync(descriptor)
    prepared_ms = (time.perf_counter() - began) * 1e3
    times_us = []
    for number in range(WRITES):
        began = time.perf_counter()
        os.pwrite(descriptor, BLOCK, number * len(BLOCK))
        os.fdatasync(descriptor)
        times_us.append((time.perf_counter() - began) * 1e6)
    os.close(descriptor)
    path.unlink()
    return prepared_ms, sorted(times_us)


def main() -> None:
    parent = sys.argv[1] if len(sys.argv) > 1 else "."
    with tempfile.TemporaryDirectory(dir=parent) as directory:
        for _ in range(3):
            for prepare in (leave_empty, reserve, fill):
                prepared_ms, times_us = measure(Path(directory, "file"), prepare)
                median, p99 = statistics.median(times_us), times_us[int(0.99 * WRITES)]
                name = prepare.__name__
                sys.stdout.write(f"{name:12} {prepared_ms:7.1f} ms; p50 {median:5.0f} µs, p99 {p99:5.0f} µs\n")


if __name__ == "__main__":
    main()
