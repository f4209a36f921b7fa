"""What happened in a world, one JSON line an event; the same seed gives the same bytes.

Lines tell what a person wants to know. Bytes that nobody wants to read, such as every frame, are folded into
a hash, so that two runs can be compared in full.
"""

import hashlib

import msgspec

from libelli.sim.kernel import Kernel

_encode = msgspec.json.Encoder(order="sorted").encode


class Trace:
    """The record of one run.

    Args:
        kernel: for time.
        lines_max: older lines are kept in the hash alone.
    """

    def __init__(self, kernel: Kernel, *, lines_max: int = 1_000_000) -> None:
        self._kernel = kernel
        self._lines_max = lines_max
        self._hash = hashlib.blake2b(digest_size=16)
        self.lines: list[bytes] = []

    def note(self, who: str, kind: str, **fields: object) -> None:
        """Adds a line."""
        line = _encode({"us": self._kernel.now_us, "who": who, "kind": kind, **fields})
        self._hash.update(line)
        self._hash.update(b"\n")
        self.lines.append(line)
        if len(self.lines) > 2 * self._lines_max:
            del self.lines[: self._lines_max]

    def fold(self, data: bytes) -> None:
        """Adds bytes to the hash alone."""
        self._hash.update(b"%d %d " % (self._kernel.now_us, len(data)))
        self._hash.update(data)

    def digest(self) -> str:
        """Returns the hash over everything so far."""
        return self._hash.hexdigest()

    def document(self) -> bytes:
        """Returns all lines, and last the hash."""
        return b"\n".join([*self.lines, _encode({"digest": self.digest()}), b""])
