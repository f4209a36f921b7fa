"""While a snapshot takes the place of the contents nobody reads them, for a read could see some of both."""

from collections.abc import Sequence
from random import Random

from libelli.core.calls import (
    Call,
    ClientHello,
    Consistency,
    Done,
    Read,
    ReadDigest,
    Refusal,
    Reply,
    Watch,
    Watching,
    replies_decoder,
)
from libelli.core.codec import encode
from libelli.core.entries import Entry, EntryKind
from libelli.core.errors import Code
from libelli.core.ids import DEFAULT_COLLECTION, DEFAULT_GROUP, ClusterId, Index, NodeId, Term
from libelli.core.members import Configuration, Member
from libelli.host.chunks import read_chunk
from libelli.host.identity import Identity
from libelli.host.log import RecoveredLog
from libelli.host.machine import Machine
from libelli.host.node import Node
from libelli.host.options import NodeOptions
from libelli.host.stamps import FrameEntry, stamp
from libelli.host.transfers import SnapshotChunk
from libelli.host.world import FinishInstall, SendClient, WakeAt
from libelli.stores.memory import MemoryCheckpoint
from libelli.stores.mvcc.commands import Command, Put, Range

MEMBERS = Configuration(tuple(Member(NodeId(node), f"n{node}", "here", f"h{node}:1", "") for node in (1, 2, 3)))
LEADER = NodeId(1)


def holding(*commands: Command) -> MemoryCheckpoint:
    """A checkpoint of everything that the commands made."""
    checkpoint = MemoryCheckpoint()
    machine = Machine(checkpoint, founding=MEMBERS)
    frame = FrameEntry(0, False, 0, 0, 0, encode(commands))
    machine.apply(Index(1), Entry(Term(1), EntryKind.COMMAND, stamp(frame)))
    checkpoint.write(machine.freeze())
    return checkpoint


class Follower:
    """A node that has been given the last chunk of a snapshot."""

    def __init__(self, snapshot: MemoryCheckpoint) -> None:
        self.node = Node(
            identity=Identity(ClusterId("a" * 32), NodeId(2), "n2", "here"),
            log=RecoveredLog(ClusterId("a" * 32), 2, {}, [], 1),
            checkpoints={DEFAULT_GROUP: holding(Put(b"old", b"1"))},
            founding=MEMBERS,
            random=Random(1),
            options=NodeOptions(),
        )
        self.node.client_connected(1, "alice")
        self.node.receive_client(1, encode(ClientHello()))
        self.node.step(0)
        chunk = read_chunk(snapshot.view(), cursor=b"", size_max=1 << 20)
        installation = self.node.group().installation
        installation.begin(LEADER, Index(1), 0)
        installation.take(LEADER, SnapshotChunk(1, b"", chunk.runs, b"", Index(1), Term(1), MEMBERS))
        self.node.chunk_installed(DEFAULT_GROUP)
        assert any(isinstance(effect, FinishInstall) for effect in self.node.step(0))

    def ask(self, call: Call) -> Sequence[Reply]:
        self.node.receive_client(1, encode([call]))
        effects = self.node.step(1)
        return [
            reply for each in effects if isinstance(each, SendClient) for reply in replies_decoder.decode(each.body)
        ]


def test_a_serializable_read_is_refused_while_the_contents_are_replaced() -> None:
    follower = Follower(holding(Put(b"new", b"2")))
    read = Read(1, DEFAULT_COLLECTION, Consistency.SERIALIZABLE, encode([Range(b"old")]))
    (reply,) = follower.ask(read)
    assert isinstance(reply, Refusal)
    assert reply.code is Code.OVERLOADED
    follower.node.group().installation.is_finishing = False
    (reply,) = follower.ask(read)
    assert isinstance(reply, Done)


def test_a_digest_is_refused_while_the_contents_are_replaced() -> None:
    follower = Follower(holding(Put(b"new", b"2")))
    (reply,) = follower.ask(ReadDigest(1, DEFAULT_COLLECTION, 0))
    assert isinstance(reply, Refusal)
    assert reply.code is Code.OVERLOADED


def test_a_watcher_that_is_behind_waits_and_does_not_keep_the_node_awake() -> None:
    follower = Follower(holding(Put(b"new", b"2")))
    replies = follower.ask(Watch(1, DEFAULT_COLLECTION, b"old", start_revision=2))
    assert [type(reply) for reply in replies] == [Watching]
    assert follower.node.group().watches.has_more
    effects = follower.node.step(2)
    assert [each for each in effects if isinstance(each, WakeAt) and each.at_ms <= 2] == []
