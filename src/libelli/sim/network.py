"""A simulated network: streams between hosts, over links that are slow, lossy, torn or cut.

::

    dial ── one way ──► accept ── one way ──► connected          refused when nobody listens
    send ── delay ────► received                                 in order, unless the link is unruly
    close, reset ─────► lost, at both ends

Each pair of hosts has a link in each direction. A link that is cut loses nothing of a stream at first: like TCP it
keeps the bytes and sends them when the link is whole again, unless somebody gives the stream up before. A peer
stream may be *unruly*: then its link's dice lose, repeat and reorder single frames, which is more than TCP would
do but no more than a replica must bear.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from libelli.sim.kernel import MS, Kernel

if TYPE_CHECKING:
    from random import Random

RESEND_US = 200 * MS
"""How much later a frame arrives that had to be sent again on an orderly stream."""


class Link(Struct, kw_only=True):
    """One direction between two hosts; may be changed at any time. Chances are 0 … 1.

    Attributes:
        delay_us: how long a frame takes.
        jitter_us: up to this much more, drawn for each frame.
        byte_ns: nanoseconds for each byte.
        loss: chance that a frame is lost (on an orderly stream: late).
        repeat: chance that a frame comes twice (on an unruly stream).
        reorder: chance that a frame overtakes or is overtaken (on an unruly stream).
        is_cut: nothing passes.
    """

    delay_us: int = 500
    jitter_us: int = 0
    byte_ns: int = 1
    loss: float = 0.0
    repeat: float = 0.0
    reorder: float = 0.0
    is_cut: bool = False

    def draw_us(self, random: "Random", size: int) -> int:
        """Returns how long a frame of `size` bytes takes."""
        jitter_us = random.randint(0, self.jitter_us) if self.jitter_us else 0
        return self.delay_us + jitter_us + size * self.byte_ns // 1_000


class End:
    """One end of a stream.

    Attributes:
        host: where it is.
        on_body: takes a frame that arrived.
        on_lost: is told once that the stream is over, and why.
    """

    __slots__ = ("_stream", "arrived_us", "held", "host", "is_open", "on_body", "on_lost", "other")

    def __init__(self, stream: "Stream", host: str) -> None:
        self._stream = stream
        self.host = host
        self.other: End
        self.is_open = True
        self.on_body: Callable[[bytes], object] = _ignore
        self.on_lost: Callable[[str], object] = _ignore
        self.held: list[bytes] = []
        """Sent while the link was cut."""
        self.arrived_us = 0
        """When the last frame in order arrives here."""

    @property
    def peer_host(self) -> str:
        """Returns where the other end is."""
        return self.other.host

    def send(self, body: bytes, *, is_orderly: bool = False) -> None:
        """Sends a frame; nothing happens when the stream is over."""
        if self.is_open:
            self._stream.send(self, body, is_orderly=is_orderly)

    def close(self, reason: str) -> None:
        """Ends the stream: frames that were sent still arrive, then the other side is told."""
        if self.is_open:
            self.is_open = False
            self._stream.close(self, reason)

    def drop(self) -> None:
        """This end's process is gone: it hears nothing any more."""
        self.on_body = self.on_lost = _ignore
        self.close("the other side is gone")


def _ignore(_: object) -> None:
    pass


class Stream:
    """A two-way stream of frames between two hosts."""

    def __init__(self, network: "Network", *, source: str, dest: str, is_unruly: bool) -> None:
        self._network = network
        self._is_unruly = is_unruly
        self.source, self.dest = End(self, source), End(self, dest)
        self.source.other, self.dest.other = self.dest, self.source

    def send(self, end: End, body: bytes, *, is_orderly: bool) -> None:
        """Puts a frame on its way from `end`."""
        network, kernel = self._network, self._network.kernel
        link = network.link(end.host, end.other.host)
        is_unruly = self._is_unruly and not is_orderly
        network.frames += 1
        if link.is_cut:
            if not is_unruly:
                end.held.append(body)
            return
        random = network.random
        at_us = kernel.now_us + link.draw_us(random, len(body))
        if link.loss and random.random() < link.loss:
            if is_unruly:
                return
            at_us += RESEND_US
        if is_unruly and link.reorder and random.random() < link.reorder:
            at_us += random.randint(0, 4 * link.delay_us + link.jitter_us)
        else:
            at_us = end.other.arrived_us = max(at_us, end.other.arrived_us)
        kernel.at(at_us, self._arrive, end.other, body)
        if is_unruly and link.repeat and random.random() < link.repeat:
            kernel.at(at_us + random.randint(1, 4 * link.delay_us), self._arrive, end.other, body)

    def _arrive(self, end: End, body: bytes) -> None:
        if end.is_open:
            end.on_body(body)
            return
        # As TCP: who sends to an end that is gone is told so.
        back = self._network.link(end.host, end.other.host)
        if end.other.is_open and not back.is_cut:
            delay_us = back.draw_us(self._network.random, 0)
            self._network.kernel.after(delay_us, self.lose, end.other, "connection reset")

    def release(self) -> None:
        """The links were mended: what was held goes on its way."""
        for end in (self.source, self.dest):
            if end.held and not self._network.link(end.host, end.other.host).is_cut:
                bodies, end.held = end.held, []
                for body in bodies:
                    self.send(end, body, is_orderly=True)

    def close(self, end: End, reason: str) -> None:
        """Tells the other end, after all that was sent."""
        self._network.forget(self)
        link = self._network.link(end.host, end.other.host)
        if link.is_cut:
            return  # nobody hears of it: the other side must find out by itself
        kernel = self._network.kernel
        at_us = max(kernel.now_us + link.draw_us(self._network.random, 0), end.other.arrived_us)
        kernel.at(at_us, self.lose, end.other, reason)

    @staticmethod
    def lose(end: End, reason: str) -> None:
        """This end hears that the stream is over."""
        if end.is_open:
            end.is_open = False
            end.on_lost(reason)

    def reset(self, reason: str) -> None:
        """Both ends lose the stream now, and all that is under way."""
        self._network.forget(self)
        for end in (self.source, self.dest):
            self.lose(end, reason)


Accept = Callable[[End], object]


class Network:
    """All hosts, the links between them, and their streams.

    Args:
        kernel: for time.
        random: for delays and faults.
        link: what a link is like that nobody changed.

    Attributes:
        frames: how many were sent.
    """

    def __init__(self, kernel: Kernel, *, random: "Random", link: Link | None = None) -> None:
        self.kernel = kernel
        self.random = random
        self.frames = 0
        self._default = link or Link()
        self._links: dict[tuple[str, str], Link] = {}
        self._listeners: dict[str, tuple[str, Accept]] = {}
        self._streams: dict[Stream, None] = {}

    def link(self, source: str, dest: str) -> Link:
        """Returns the link from one host to another; it may be changed."""
        found = self._links.get((source, dest))
        if found is None:
            default = self._default
            found = self._links[source, dest] = Link(
                delay_us=default.delay_us,
                jitter_us=default.jitter_us,
                byte_ns=default.byte_ns,
                loss=default.loss,
                repeat=default.repeat,
                reorder=default.reorder,
            )
        return found

    # ── streams ───────────────────────────────────────────────────────────────────────────────────────────

    def listen(self, address: str, *, host: str, accept: Accept) -> None:
        """Hands streams that are dialled to `address` to `accept`."""
        self._listeners[address] = (host, accept)

    def silence(self, address: str) -> None:
        """Nobody listens there any more."""
        self._listeners.pop(address, None)

    def dial(
        self,
        address: str,
        *,
        host: str,
        is_unruly: bool,
        connected: Callable[[End], object],
        refused: Callable[[str], object],
    ) -> None:
        """Opens a stream from `host` to `address`; over a cut link nothing is heard of it."""
        listener = self._listeners.get(address)
        if listener is None:
            self.kernel.after(self._default.delay_us * 2, refused, f"nobody listens at {address}")
            return
        there, link = self.link(host, listener[0]), self.link(listener[0], host)
        if not there.is_cut and not link.is_cut:
            self.kernel.after(there.draw_us(self.random, 0), self._accept, address, host, is_unruly, connected, refused)

    def _accept(
        self,
        address: str,
        host: str,
        is_unruly: bool,
        connected: Callable[[End], object],
        refused: Callable[[str], object],
    ) -> None:
        listener = self._listeners.get(address)
        back = self._default if listener is None else self.link(listener[0], host)
        if back.is_cut:
            return
        delay_us = back.draw_us(self.random, 0)
        if listener is None:
            self.kernel.after(delay_us, refused, f"nobody listens at {address}")
            return
        stream = Stream(self, source=host, dest=listener[0], is_unruly=is_unruly)
        self._streams[stream] = None
        stream.source.arrived_us = self.kernel.now_us + delay_us
        self.kernel.after(delay_us, connected, stream.source)
        listener[1](stream.dest)

    def forget(self, stream: Stream) -> None:
        """A stream is over."""
        self._streams.pop(stream, None)

    # ── faults ────────────────────────────────────────────────────────────────────────────────────────────

    def cut(self, source: str, dest: str) -> None:
        """Nothing passes from `source` to `dest`; the other direction is as it was."""
        self.link(source, dest).is_cut = True

    def mend(self, source: str, dest: str) -> None:
        """Everything passes from `source` to `dest` again."""
        self.link(source, dest).is_cut = False
        self._release()

    def mend_all(self) -> None:
        """Everything passes everywhere again."""
        for link in self._links.values():
            link.is_cut = False
        self._release()

    def reset(self, one: str, other: str) -> None:
        """Breaks all streams between two hosts."""
        for stream in list(self._streams):
            if {stream.source.host, stream.dest.host} == {one, other}:
                stream.reset("connection reset")

    def _release(self) -> None:
        for stream in list(self._streams):
            stream.release()
