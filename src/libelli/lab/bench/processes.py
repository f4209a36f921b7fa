"""Processes of a benchmark: their ports, their processor time, their end."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path

STOP_SECONDS = 10.0
"""How long a server may take to end after SIGTERM."""

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """Returns the processor time (user and system) that processes have used so far; an ended one counts 0."""
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            # The name in brackets may hold blanks; fields are counted behind it.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS_PER_SECOND


def resident_bytes(pids: Iterable[int]) -> int:
    """Returns the memory that processes hold, pages of mapped files included."""
    total = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return total * os.sysconf("SC_PAGE_SIZE")


def anonymous_bytes(pids: Iterable[int]) -> int:
    """Returns the memory that processes hold and no file stands behind: heap, stacks, what was swapped out."""
    total_kb = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith(("Anonymous:", "Swap:")):
                    total_kb += int(line.split()[1])
    return total_kb * 1024


def free_ports(count: int) -> list[int]:
    """Returns ports of loopback that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        # All stay open until the last is known, or one port could be handed out twice.
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Server:
    """One server process under test; its output goes to a file.

    Args:
        command: program and arguments.
        log: file that receives standard output and error.
    """

    def __init__(self, command: Sequence[str], *, log: Path, environment: dict[str, str] | None = None) -> None:
        self._command = list(command)
        self._environment = environment
        self.log = log
        self.process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            RuntimeError: not started.
        """
        if self.process is None:
            raise RuntimeError(f"{self._command[0]} is not started")
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether the process is started and has not ended."""
        return self.process is not None and self.process.returncode is None

    async def start(self, *, pipes: bool = False) -> asyncio.subprocess.Process:
        """Starts the process; `pipes` connects its standard input and output to us."""
        pipe = asyncio.subprocess.PIPE
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=pipe if pipes else asyncio.subprocess.DEVNULL,
                stdout=pipe if pipes else log,
                stderr=log,
                env=self._environment,
                limit=1 << 24,
            )
        return self.process

    async def stop(self) -> None:
        """Ends the process: SIGTERM first, SIGKILL when it does not listen."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()

    def last_words(self, size_bytes: int = 2000) -> str:
        """Returns the end of the log, for an error message."""
        if not self.log.exists():
            return ""
        return self.log.read_bytes()[-size_bytes:].decode(errors="replace")
