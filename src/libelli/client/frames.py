"""Frames of a write session: a batch of commands and its sequence, for as long as it has no answer.

A session's frames apply without gaps, so a frame that nobody waits for any more is sent again without its
commands: the sequence gets its place, and an old write does not happen long after its caller has given up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from libelli.client.queues import Batch
from libelli.core.calls import Refusal
from libelli.core.codec import Decoder, encode
from libelli.core.limits import FRAME_SIZE_MAX, MIB
from libelli.stores.mvcc.commands import Answer

if TYPE_CHECKING:
    from libelli.client.connection import Connection
    from libelli.client.writes import WriteLine

COMMANDS_SIZE_MAX = FRAME_SIZE_MAX - 4096
"""The encoded commands of one frame; the rest is for what stands around them."""
ANSWERS_SIZE_AIM = 4 * MIB
"""What the answers to one frame should not exceed; a node gives up to 8 MiB."""
NOTHING = encode([])

answers_decoder: Decoder[list[Answer]] = Decoder(list[Answer], name="answers")


class WriteFrame:
    """A batch with its sequence; answers come back to it."""

    __slots__ = ("batch", "encoded", "line", "on_wire", "sequence", "uncertain")

    def __init__(self, line: WriteLine, batch: Batch, sequence: int) -> None:
        self.line = line
        self.batch = batch
        self.sequence = sequence
        self.encoded = b""
        self.on_wire = False
        self.uncertain = False

    def commands(self) -> bytes:
        """Returns the encoded commands, or none once nobody waits."""
        if not self.batch.awaited:
            return NOTHING
        if not self.encoded:
            self.encoded = encode(self.batch.commands)
        return self.encoded

    def on_reply(self, reply: Any, connection: Connection) -> None:
        """See `Handler`."""
        self.line.on_done(self, reply, connection)

    def on_refusal(self, refusal: Refusal, connection: Connection) -> None:
        """See `Handler`."""
        self.line.on_refusal(self, refusal, connection)

    def on_lost(self, connection: Connection) -> None:
        """See `Handler`."""
        self.line.on_lost(self)


class Opening:
    """Waits for the answer to `OpenSession`."""

    def __init__(self, line: WriteLine) -> None:
        self.line = line

    def on_reply(self, reply: Any, connection: Connection) -> None:
        self.line.on_opened(reply, connection)

    def on_refusal(self, refusal: Refusal, connection: Connection) -> None:
        self.line.on_not_opened(refusal, connection)

    def on_lost(self, connection: Connection) -> None:
        self.line.opening = False
