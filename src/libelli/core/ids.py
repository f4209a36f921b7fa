"""The names that replicas, logs and clients go by.

A node is one process with a `NodeId` (its *pid* in the data model: the higher one wins ties); it hosts
replicas of many groups; a group is one replicated log with one state machine.
"""

from typing import NewType

NodeId = NewType("NodeId", int)
"""A node's number, 1 or more, unique in its cluster and never used again."""

GroupId = NewType("GroupId", int)
"""A replicated group's number, 1 or more."""

Index = NewType("Index", int)
"""A position in a group's log; the first entry is 1 and 0 means *before everything*."""

Term = NewType("Term", int)
"""A leader's time of office (Raft); 0 before the first election."""

Ticket = NewType("Ticket", int)
"""Names one `Persist`, so that its completion can be told apart. Grows within one run of a replica."""

Waiter = NewType("Waiter", int)
"""Names somebody who waits for an answer; given out by the host, meaningless to a replica. 0 is nobody."""

SessionId = NewType("SessionId", int)
"""A client's registered session in one group: the index of the log entry that opened it. 0 is none."""

Sequence = NewType("Sequence", int)
"""A client's number for one call of a session; the first is 1."""

Revision = NewType("Revision", int)
"""A state of a strong collection's store; a fresh store has 1."""

ClusterId = NewType("ClusterId", str)
"""A cluster's name for itself, 32 hexadecimal digits, drawn when it is made or restored."""

NOBODY = Waiter(0)
NO_NODE = NodeId(0)
NO_SESSION = SessionId(0)
DEFAULT_GROUP = GroupId(1)
DEFAULT_COLLECTION = "default"
