"""Raft: consensus on one replicated log, after Ongaro's dissertation; README.md is the map."""

from libelli.protocols.raft.messages import (
    MESSAGES,
    AppendAccepted,
    AppendEntries,
    AppendRejected,
    Heartbeat,
    HeartbeatReply,
    PreVote,
    PreVoteReply,
    RaftMessage,
    RequestVote,
    SnapshotOffer,
    TimeoutNow,
    VoteDenied,
    VoteGranted,
)
from libelli.protocols.raft.options import Options, ReadMode
from libelli.protocols.raft.replica import TICK, Raft
from libelli.protocols.raft.status import PeerStatus, Status
from libelli.protocols.raft.timing import LAN, REGIONS, TIMINGS, WAN, Timing

__all__ = [
    "LAN",
    "MESSAGES",
    "REGIONS",
    "TICK",
    "TIMINGS",
    "WAN",
    "AppendAccepted",
    "AppendEntries",
    "AppendRejected",
    "Heartbeat",
    "HeartbeatReply",
    "Options",
    "PeerStatus",
    "PreVote",
    "PreVoteReply",
    "Raft",
    "RaftMessage",
    "ReadMode",
    "RequestVote",
    "SnapshotOffer",
    "Status",
    "TimeoutNow",
    "Timing",
    "VoteDenied",
    "VoteGranted",
]
