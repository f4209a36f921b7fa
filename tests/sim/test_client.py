"""The client's dialogue where the simulator found it wanting: nothing waits for ever."""

import random

from libelli.client.dialogue import Dialogue
from libelli.client.effects import Connect, Disconnect, Send, WakeAt
from libelli.core.calls import Collection, Watch, Watching, Welcome
from libelli.core.codec import encode
from libelli.core.ids import NodeId
from libelli.core.members import Member
from libelli.sim.world import CLUSTER

WELCOME = Welcome(
    CLUSTER,
    NodeId(1),
    1,
    (Member(NodeId(1), "n1", client_address="n1:client"),),
    (Collection("default", "strong", NodeId(1)),),
)


class Talk:
    """A dialogue with one node, stepped by hand whenever it asks for it."""

    def __init__(self) -> None:
        self.dialogue = Dialogue(endpoints=["n1:client"], random=random.Random(1))
        self.now_ms = 0
        self.connection = 0
        self.is_welcoming = True
        self.wake_ms: int | None = None
        self.dropped: list[int] = []

    def step(self) -> None:
        """Steps until the dialogue asks for nothing more; connections are made at once."""
        is_busy = True
        while is_busy:
            is_busy = False
            effects = self.dialogue.step(self.now_ms)
            for effect in sorted(effects, key=lambda effect: isinstance(effect, Send)):
                match effect:
                    case Connect(connection):
                        self.connection, is_busy = connection, True
                        self.dialogue.connected(connection)
                    case Send(connection) if self.is_welcoming and connection == self.connection:
                        self.is_welcoming, is_busy = False, True
                        self.now_ms = self.wake_ms or 0  # it comes just when the client would have given up
                        self.dialogue.received(connection, encode(WELCOME))
                    case WakeAt(at_ms):
                        self.wake_ms = at_ms
                    case Disconnect(connection):
                        self.dropped.append(connection)
                    case _:
                        pass

    def sleep(self) -> bool:
        """Sleeps until the dialogue wanted to be woken; False: never."""
        if self.wake_ms is None or self.wake_ms <= self.now_ms:
            return False
        self.now_ms = self.wake_ms
        self.step()
        return True


def test_a_watch_whose_answer_never_comes_is_given_up_and_opened_again() -> None:
    talk = Talk()
    talk.dialogue.watch(Watch(0, "default", b"k"), "watcher", timeout_ms=60_000)
    talk.step()
    talk.dialogue.received(talk.connection, encode([Watching(1, 7)]))
    talk.step()
    talk.dialogue.lost(talk.connection, "reset")
    talk.is_welcoming = True
    first = talk.connection
    talk.step()
    while talk.connection == first:
        assert talk.sleep(), "nobody will ever connect again"
    assert not talk.is_welcoming
    silent = talk.connection
    while silent not in talk.dropped:
        assert talk.sleep(), f"at {talk.now_ms} ms nobody misses the answer any more"
    assert talk.now_ms < 20_000
