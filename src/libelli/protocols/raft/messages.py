"""What replicas say to each other.

::

    before an election   PreVote ─► PreVoteReply                      §9.6
    election             RequestVote ─► VoteGranted | VoteDenied      §3.4, §3.6.1
    replication          AppendEntries ─► AppendAccepted | AppendRejected   §3.5
    authority, reads     Heartbeat ─► HeartbeatReply                  §3.4, §6.4
    a follower too late  SnapshotOffer ─► (fetch) ─► AppendAccepted   §5
    handing over         TimeoutNow ─► (an election)                  §3.10

Every message carries its sender's term (§3.3). One that is true only once something is durable says so with
`promises_durability`: it may leave a replica only in the `then` of a `Persist` (§3.8).

Source: D. Ongaro, "Consensus: Bridging Theory and Practice" (Stanford, 2014), figures 3.1 and 3.2.
Differs: a reply that promises is another type than one that does not; a heartbeat is a type of its own, since it
    neither asks for nor gets a promise, so a slow disk cannot delay it.
"""

from typing import ClassVar

from msgspec import Struct

from libelli.core.codec import Decoder
from libelli.core.entries import Entry
from libelli.core.ids import Index, Term


class PreVote(Struct, frozen=True, array_like=True, tag=1):
    """Would you vote for me? Changes nothing at the receiver.

    Attributes:
        term: the sender's own.
        proposed_term: the term that it would campaign in.
        last_index: of its last entry.
        last_term: of its last entry.
    """

    promises_durability: ClassVar[bool] = False

    term: Term
    proposed_term: Term
    last_index: Index
    last_term: Term


class PreVoteReply(Struct, frozen=True, array_like=True, tag=2):
    """Answers `PreVote`; `proposed_term` is repeated from it."""

    promises_durability: ClassVar[bool] = False

    term: Term
    proposed_term: Term
    granted: bool


class RequestVote(Struct, frozen=True, array_like=True, tag=3):
    """Vote for me in `term`.

    Promises that the sender's own vote is durable, and its log up to `last_index`: a candidate that forgot one of
    them could count grants that were given to another log than its own.

    Attributes:
        term: the term of the election.
        last_index: of the candidate's last entry.
        last_term: of the candidate's last entry.
        leader_agrees: the leader itself asked for this election (§4.2.3), so its followers must listen.
    """

    promises_durability: ClassVar[bool] = True

    term: Term
    last_index: Index
    last_term: Term
    leader_agrees: bool


class VoteGranted(Struct, frozen=True, array_like=True, tag=4):
    """Promises that the sender votes for nobody else in `term`."""

    promises_durability: ClassVar[bool] = True

    term: Term


class VoteDenied(Struct, frozen=True, array_like=True, tag=5):
    """No vote; `term` is the sender's, perhaps newer than the candidate's."""

    promises_durability: ClassVar[bool] = False

    term: Term


class AppendEntries(Struct, frozen=True, array_like=True, tag=6):
    """Put `entries` into your log, behind the entry at `previous_index`.

    Attributes:
        term: the leader's.
        previous_index: of the entry before the first of `entries`.
        previous_term: its term: only if the follower has the same, it takes the entries.
        commit: what the leader knows to be committed.
        entries: perhaps none.
    """

    promises_durability: ClassVar[bool] = False

    term: Term
    previous_index: Index
    previous_term: Term
    commit: Index
    entries: tuple[Entry, ...]


class AppendAccepted(Struct, frozen=True, array_like=True, tag=7):
    """Promises that the sender's log is durable up to `match` and equals the leader's."""

    promises_durability: ClassVar[bool] = True

    term: Term
    match: Index


class AppendRejected(Struct, frozen=True, array_like=True, tag=8):
    """The log has no such previous entry, or the leader's term is over.

    Attributes:
        term: the sender's.
        rejected_index: `previous_index` of the message that is rejected.
        hint_index: the logs agree at most up to here.
        hint_term: the term of the sender's entry at `hint_index`.
    """

    promises_durability: ClassVar[bool] = False

    term: Term
    rejected_index: Index
    hint_index: Index
    hint_term: Term


class Heartbeat(Struct, frozen=True, array_like=True, tag=9):
    """The leader is there.

    Attributes:
        term: the leader's.
        commit: what the leader knows to be committed.
        round: counts the leader's questions whether it still leads (§6.4).
    """

    promises_durability: ClassVar[bool] = False

    term: Term
    commit: Index
    round: int


class HeartbeatReply(Struct, frozen=True, array_like=True, tag=10):
    """The sender's term when it heard `round`; claims nothing about its log.

    Attributes:
        term: the sender's.
        round: the one that is answered.
        is_unsure: more is committed than the sender knows its log to share with the leader's: it was restarted,
            and wants to be shown where they agree.
    """

    promises_durability: ClassVar[bool] = False

    term: Term
    round: int
    is_unsure: bool = False


class SnapshotOffer(Struct, frozen=True, array_like=True, tag=11):
    """The entries that you lack are gone from my log: fetch the store's state.

    Attributes:
        term: the leader's.
        index: the last index that the leader's log lacks; a snapshot reaches at least this far.
        snapshot_term: the term of the entry at `index`.
    """

    promises_durability: ClassVar[bool] = False

    term: Term
    index: Index
    snapshot_term: Term


class TimeoutNow(Struct, frozen=True, array_like=True, tag=12):
    """Campaign at once: the leader of `term` hands over to you (§3.10)."""

    promises_durability: ClassVar[bool] = False

    term: Term


RaftMessage = (
    PreVote
    | PreVoteReply
    | RequestVote
    | VoteGranted
    | VoteDenied
    | AppendEntries
    | AppendAccepted
    | AppendRejected
    | Heartbeat
    | HeartbeatReply
    | SnapshotOffer
    | TimeoutNow
)
"""Everything that a replica of Raft may send."""

MESSAGES: Decoder[RaftMessage] = Decoder(RaftMessage, name="message of Raft")
"""Reads what `core.codec.encode` makes of a message."""
