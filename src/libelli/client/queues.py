"""Commands that wait to be sent, in the order of submission, and the batches that are taken from them."""

from typing import Any

from libelli.stores.mvcc.commands import Command

NEVER_MS = 2**62


class Batch:
    """Commands that travel together, and who waits for each; None waits no more.

    Attributes:
        first_deadline_ms: no deadline is earlier than this.
        thinned: some waiter is gone.
    """

    __slots__ = ("commands", "deadlines_ms", "first_deadline_ms", "size_bytes", "thinned", "waiters")

    def __init__(
        self, *, commands: list[Command], waiters: list[Any], deadlines_ms: list[int], size_bytes: int
    ) -> None:
        self.commands = commands
        self.waiters = waiters
        self.deadlines_ms = deadlines_ms
        self.size_bytes = size_bytes
        self.first_deadline_ms = min(deadlines_ms, default=NEVER_MS)
        self.thinned = False

    @property
    def awaited(self) -> bool:
        """Whether anybody still waits."""
        return not self.thinned or any(waiter is not None for waiter in self.waiters)

    def give_up(self, now_ms: int) -> list[Any]:
        """Returns the waiters whose time is over; the commands stay in the batch."""
        late = []
        for position, deadline_ms in enumerate(self.deadlines_ms):
            if deadline_ms <= now_ms:
                if self.waiters[position] is not None:
                    late.append(self.waiters[position])
                self.waiters[position] = None
                self.deadlines_ms[position] = NEVER_MS
        self.thinned = self.thinned or bool(late)
        self.first_deadline_ms = min(self.deadlines_ms, default=NEVER_MS)
        return late

    def drop_unawaited(self) -> None:
        """Takes out the commands for which nobody waits; only before the first sending."""
        kept = [position for position, waiter in enumerate(self.waiters) if waiter is not None]
        self.commands = [self.commands[position] for position in kept]
        self.waiters = [self.waiters[position] for position in kept]
        self.deadlines_ms = [self.deadlines_ms[position] for position in kept]
        self.thinned = False

    def settle(self, answers: list[Any]) -> tuple[list[Any], list[Any]]:
        """Returns those who still wait, and their answers."""
        if not self.thinned:
            return self.waiters, answers
        pairs = [pair for pair in zip(self.waiters, answers, strict=True) if pair[0] is not None]
        return [waiter for waiter, _ in pairs], [answer for _, answer in pairs]

    def release(self) -> list[Any]:
        """Returns all who still wait, for one outcome."""
        return [waiter for waiter in self.waiters if waiter is not None]

    def split(self, count: int) -> "Batch":
        """Keeps the first `count` commands and returns a batch of the others."""
        rest = Batch(
            commands=self.commands[count:],
            waiters=self.waiters[count:],
            deadlines_ms=self.deadlines_ms[count:],
            size_bytes=self.size_bytes,
        )
        rest.thinned = self.thinned
        del self.commands[count:], self.waiters[count:], self.deadlines_ms[count:]
        return rest


class CommandQueue:
    """Commands not sent yet. What is added gets its deadline when `admit` says what time it is."""

    __slots__ = (
        "_admitted",
        "_commands",
        "_deadlines_ms",
        "_sizes",
        "_timeouts_ms",
        "_waiters",
        "bytes",
        "first_deadline_ms",
    )

    def __init__(self) -> None:
        self._commands: list[Command] = []
        self._waiters: list[Any] = []
        self._timeouts_ms: list[int] = []
        self._deadlines_ms: list[int] = []
        self._sizes: list[int] = []
        self.bytes = 0
        self.first_deadline_ms = NEVER_MS

    def __len__(self) -> int:
        return len(self._commands)

    def add(self, command: Command, waiter: Any, *, timeout_ms: int, size_bytes: int) -> None:
        """Appends a command of at most `size_bytes`."""
        self._commands.append(command)
        self._waiters.append(waiter)
        self._timeouts_ms.append(timeout_ms)
        self._sizes.append(size_bytes)
        self.bytes += size_bytes

    def admit(self, now_ms: int) -> None:
        """Starts the time of all commands that were added since the last call."""
        if self._timeouts_ms:
            self._deadlines_ms += [now_ms + timeout_ms for timeout_ms in self._timeouts_ms]
            self.first_deadline_ms = min(self.first_deadline_ms, now_ms + min(self._timeouts_ms))
            self._timeouts_ms.clear()

    def take(self, *, count_max: int, size_max: int) -> Batch:
        """Returns the oldest admitted commands: at least one, as far as both limits allow."""
        count = min(len(self._deadlines_ms), count_max)
        size = self.bytes
        if count < len(self._commands) or size > size_max:
            count, size = self._fitting(count, size_max)
        if count == len(self._commands):
            batch = Batch(
                commands=self._commands,
                waiters=self._waiters,
                deadlines_ms=self._deadlines_ms,
                size_bytes=size,
            )
            self._commands, self._waiters, self._deadlines_ms, self._sizes = [], [], [], []
            self.first_deadline_ms = NEVER_MS
        else:
            batch = Batch(
                commands=self._commands[:count],
                waiters=self._waiters[:count],
                deadlines_ms=self._deadlines_ms[:count],
                size_bytes=size,
            )
            del self._commands[:count], self._waiters[:count], self._deadlines_ms[:count], self._sizes[:count]
        self.bytes -= size
        return batch

    def _fitting(self, count_max: int, size_max: int) -> tuple[int, int]:
        total = 0
        for position in range(count_max):
            size = self._sizes[position]
            if position and total + size > size_max:
                return position, total
            total += size
        return count_max, total

    def give_up(self, now_ms: int) -> list[Any]:
        """Takes out the commands whose time is over and returns their waiters."""
        if self.first_deadline_ms > now_ms:
            return []
        places = range(len(self._deadlines_ms))
        late = [self._waiters[place] for place in places if self._deadlines_ms[place] <= now_ms]
        kept = [place for place in places if self._deadlines_ms[place] > now_ms]
        self._commands = [self._commands[place] for place in kept]
        self._waiters = [self._waiters[place] for place in kept]
        self._sizes = [self._sizes[place] for place in kept]
        self._deadlines_ms = [self._deadlines_ms[place] for place in kept]
        self.bytes = sum(self._sizes)
        self.first_deadline_ms = min(self._deadlines_ms, default=NEVER_MS)
        return late

    def release(self) -> list[Any]:
        """Takes out everything and returns the waiters."""
        waiters = self._waiters
        self._commands, self._waiters, self._deadlines_ms, self._sizes = [], [], [], []
        self._timeouts_ms.clear()
        self.bytes = 0
        self.first_deadline_ms = NEVER_MS
        return waiters
