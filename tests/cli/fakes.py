"""A client whose cluster is one store in memory: the real store and the real limits, without nodes."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, BinaryIO, Self, TypeVar, cast

from libelli.client.admission import admit, only_reads
from libelli.core.calls import GroupStatus, NodeStatus
from libelli.core.errors import CallError, Code, call_error
from libelli.core.ids import DEFAULT_COLLECTION, Index, NodeId
from libelli.core.members import Member
from libelli.stores.memory import MemoryCheckpoint
from libelli.stores.mvcc import Store
from libelli.stores.mvcc.commands import (
    Answer,
    Command,
    Compact,
    DeleteDone,
    DeleteRange,
    Failed,
    LeaseDone,
    LeaseGrant,
    LeaseRead,
    LeaseReadDone,
    LeaseRevoke,
    LeaseState,
    Put,
    PutDone,
    Transaction,
    TransactionDone,
    WatchEvent,
)
from libelli.stores.overlay import Overlay

T = TypeVar("T")
MEMBERS = tuple(
    Member(NodeId(number), f"n{number}", region, f"127.0.0.1:{number}0", f"127.0.0.1:{number}1")
    for number, region in enumerate(("here", "there", "elsewhere"), start=1)
)


class FakeClient:
    """Answers like `libelli.client.Client`.

    Attributes:
        failure: what the next call ends with instead of an answer.
        down: members that do not answer.
    """

    def __init__(self) -> None:
        self.store = Store(Overlay(MemoryCheckpoint()))
        self.failure: CallError | None = None
        self.down: set[int] = set()
        self.leader = NodeId(1)
        self.voters = list(MEMBERS)
        self.learners: list[Member] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    # ── commands ──────────────────────────────────────────────────────────────────────────────────────────

    def execute(self, command: Command, *, collection: str = "", serializable: bool = False) -> Answer:
        return self.submit(command, collection=collection).result()

    def submit(self, command: Command, *, collection: str = "") -> "Future[Answer]":
        self._fail_if_asked()
        if collection not in ("", DEFAULT_COLLECTION):
            raise call_error(Code.UNKNOWN_COLLECTION, f"no collection {collection!r} is here; there are: default")
        admit(command)
        future: Future[Answer] = Future()
        (answer,) = self.store.read([command]) if only_reads(command) else self.store.apply([command])
        if isinstance(answer, Failed):
            future.set_exception(call_error(answer.code, answer.message))
        else:
            future.set_result(answer)
        return future

    def put(self, key: bytes, value: bytes, *, lease: int = 0, previous: bool = False, collection: str = "") -> PutDone:
        return cast("PutDone", self.execute(Put(key, value, lease, previous), collection=collection))

    def delete(self, key: bytes, end: bytes = b"", *, previous: bool = False, collection: str = "") -> DeleteDone:
        return cast("DeleteDone", self.execute(DeleteRange(key, end, previous), collection=collection))

    def transaction(self, transaction: Transaction, *, collection: str = "") -> TransactionDone:
        return cast("TransactionDone", self.execute(transaction, collection=collection))

    def compact(self, revision: int, *, collection: str = "") -> Answer:
        return self.execute(Compact(revision), collection=collection)

    @contextmanager
    def watch(
        self, key: bytes, end: bytes, *, start_revision: int, previous: bool, collection: str
    ) -> Iterator[Iterator[WatchEvent]]:
        """All that happened until now, then the end: a real watch would go on."""
        self._fail_if_asked()
        page = self.store.events(start_revision, key=key, end=end, bytes_max=1 << 20)
        yield (event for _, events in page.changes for event in events)

    # ── leases ────────────────────────────────────────────────────────────────────────────────────────────

    def grant_lease(self, ttl_s: int, *, lease: int = 0, collection: str = "") -> LeaseDone:
        return cast("LeaseDone", self.execute(LeaseGrant(lease, ttl_s), collection=collection))

    def revoke_lease(self, lease: int, *, collection: str = "") -> Answer:
        return self.execute(LeaseRevoke(lease), collection=collection)

    def keep_alive(self, lease: int, *, collection: str = "") -> int:
        return dict(self.store.leases()).get(lease, 0)

    def leases(self, lease: int = 0, *, keys: bool = False, collection: str = "") -> tuple[LeaseState, ...]:
        return cast("LeaseReadDone", self.execute(LeaseRead(lease, keys), collection=collection)).leases

    # ── the cluster ───────────────────────────────────────────────────────────────────────────────────────

    def members(self, *, timeout_ms: int = 0) -> tuple[Member, ...]:
        self._fail_if_asked()
        return (*self.voters, *self.learners)

    def status(self, node: NodeId = NodeId(1)) -> NodeStatus:  # noqa: B008 - a number
        member = next(member for member in self.members() if member.node == node)
        role = "leader" if node == self.leader else "learner" if member in self.learners else "follower"
        group = GroupStatus(
            1, DEFAULT_COLLECTION, role, 3, self.leader, 9, 9 - node + 1, Index(1), Index(9), 0, self.store.revision,
            self.store.compact_revision, self.store.size_bytes, tuple(self.voters), tuple(self.learners),
        )  # fmt: skip
        return NodeStatus(0, node, member.name, member.region, "c" * 32, 1000 + node, "0.1.0", 5_000, (group,))

    def statuses(self, *, timeout_ms: int) -> list[tuple[Member, NodeStatus | CallError]]:
        down = call_error(Code.NOT_CONNECTED, "connection refused")
        return [(each, down if each.node in self.down else self.status(each.node)) for each in self.members()]

    def add_member(
        self, name: str, *, region: str, peer_address: str, client_address: str, grpc_address: str
    ) -> Member:
        self._fail_if_asked()
        member = Member(NodeId(len(self.members()) + 1), name, region, peer_address, client_address, grpc_address)
        self.learners.append(member)
        return member

    def promote_member(self, name: str) -> Member:
        member = self._find(name)
        self.learners.remove(member)
        self.voters.append(member)
        return member

    def remove_member(self, name: str) -> Member:
        member = self._find(name)
        self.voters = [voter for voter in self.voters if voter != member]
        return member

    def transfer_leadership(self, name: str | None = None) -> Member | None:
        member = self._find(name) if name else None
        self.leader = member.node if member else NodeId(2)
        return member

    def save_snapshot(self, file: BinaryIO) -> int:
        self._fail_if_asked()
        return file.write(b"not a snapshot")

    def _find(self, name: str) -> Member:
        for member in self.members():
            if member.name == name:
                return member
        raise call_error(Code.MEMBER_NOT_FOUND, f"{name!r} is no member of the cluster")

    def _fail_if_asked(self) -> None:
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure


def connecting_to(client: FakeClient) -> Any:
    """Returns what an invocation calls to reach `client`."""
    return lambda _: client
