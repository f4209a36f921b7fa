"""The outbox: one write, one frame a node, one frame a connection; and no promise before its time."""

import pytest

from libelli.core.calls import Done, replies_decoder
from libelli.core.effects import Persist, Send
from libelli.core.entries import HardState
from libelli.core.errors import InvariantError
from libelli.core.ids import GroupId, Index, NodeId, Term, Ticket
from libelli.host.node import peer_frame_decoder
from libelli.host.outbox import FRAME_SIZE_GOAL, Outbox
from libelli.host.world import DialPeers, SendClient, SendPeer, WriteLog
from libelli.protocols.raft import Heartbeat, VoteDenied, VoteGranted

G1, G2 = GroupId(1), GroupId(2)
TWO, THREE = NodeId(2), NodeId(3)


def persist(term: int, *, records: bool = True, then: tuple[Send, ...] = ()) -> Persist:
    return Persist(Ticket(term), (HardState(Term(term)),) if records else (), then, Term(0), Index(0))


def test_a_promise_that_is_sent_before_it_is_durable_stops_the_node() -> None:
    with pytest.raises(InvariantError, match="VoteGranted promises durability and was sent before it"):
        Outbox().send(G1, Send(TWO, VoteGranted(Term(1))), is_durable=False)


def test_all_writes_of_a_step_are_one() -> None:
    outbox = Outbox()
    outbox.persist(G1, persist(1))
    outbox.persist(G2, persist(2))
    (write,) = outbox.take()
    assert isinstance(write, WriteLog)
    assert [group for group, _ in write.records] == [1, 2]
    assert [group for group, _ in outbox.written(write.ticket)] == [1, 2]
    assert outbox.written(write.ticket) == []


def test_a_persist_without_records_waits_for_all_before_it() -> None:
    outbox = Outbox()
    outbox.persist(G1, persist(1, records=False))
    assert [group for group, _ in outbox.take_done()] == [1]
    outbox.persist(G1, persist(2))
    outbox.persist(G2, persist(3, records=False))
    (write,) = outbox.take()
    outbox.persist(G1, persist(4, records=False))
    assert outbox.take_done() == []
    assert outbox.take() == []
    assert isinstance(write, WriteLog)
    assert [each.ticket for _, each in outbox.written(write.ticket)] == [2, 3, 4]
    assert outbox.writes_waiting == 0


def test_messages_to_a_node_share_a_frame_and_come_after_the_write() -> None:
    outbox = Outbox()
    outbox.send(G1, Send(TWO, Heartbeat(Term(1), Index(0), 1)), is_durable=False)
    outbox.send(G2, Send(TWO, VoteDenied(Term(1))), is_durable=False)
    outbox.send(G1, Send(THREE, Heartbeat(Term(1), Index(0), 1)), is_durable=False)
    outbox.persist(G1, persist(1))
    write, two, three = outbox.take()
    assert isinstance(write, WriteLog)
    assert isinstance(two, SendPeer)
    assert isinstance(three, SendPeer)
    assert (two.node, three.node) == (2, 3)
    assert peer_frame_decoder.decode(two.body) == [(1, Heartbeat(Term(1), Index(0), 1)), (2, VoteDenied(Term(1)))]


def test_answers_on_a_connection_share_a_frame() -> None:
    outbox = Outbox()
    outbox.reply(5, Done(1, b"x"))
    outbox.add(DialPeers(()))
    outbox.reply(5, Done(2, b"y"))
    send, dial = outbox.take()
    assert isinstance(send, SendClient)
    assert replies_decoder.decode(send.body) == [Done(1, b"x"), Done(2, b"y")]
    assert dial == DialPeers(())
    assert outbox.take() == []


def test_a_frame_that_would_be_too_large_is_sent_as_several_in_order() -> None:
    outbox = Outbox()
    answers = [Done(call, b"x" * FRAME_SIZE_GOAL) for call in (1, 2)] + [Done(3, b"")]
    for answer in answers:
        outbox.reply(5, answer)
    sends = outbox.take()
    found = [replies_decoder.decode(send.body) for send in sends if isinstance(send, SendClient)]
    assert [reply for replies in found for reply in replies] == answers
    assert len(found) == 3
