"""The client for asyncio: every call of a cluster, as coroutines and as futures.

Calls that are made in the same round of the event loop travel together, so a program that has many calls under
way at once (`submit`, `pipeline`, or many tasks) is served many times faster than one that waits for each.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from random import Random
from typing import BinaryIO, Self, TypeVar

from libelli import __version__
from libelli.client.commands import delete_command, expect, put_command
from libelli.client.dialogue import Dialogue
from libelli.client.driver import Driver, Steer
from libelli.client.keys import Data, data_bytes
from libelli.client.membership import ADD, PROMOTE, REMOVE, TRANSFER, added_member, find_member
from libelli.client.options import DialogueOptions
from libelli.client.paging import PAGE_KEYS, Pages
from libelli.client.pipelines import IN_FLIGHT_DEFAULT, AsyncPipeline
from libelli.client.questions import AtAnybody, AtConnection, AtLeader, AtNode, Told, Whom
from libelli.client.trust import Certificates, Trust
from libelli.client.watching import AsyncWatch
from libelli.core.calls import (
    Call,
    ChangeMember,
    Consistency,
    Digest,
    Done,
    GetStatus,
    KeepAlive,
    KeptAlive,
    NodeStatus,
    ReadDigest,
    ReadSnapshot,
    SnapshotPart,
    Watch,
)
from libelli.core.codec import Decoder
from libelli.core.errors import CallError, Code, CodecError, Unavailable
from libelli.core.ids import DEFAULT_COLLECTION, NO_NODE, NodeId
from libelli.core.members import Member
from libelli.stores.mvcc.commands import (
    Answer,
    Command,
    Compact,
    CompactDone,
    Compare,
    DeleteDone,
    KeyValue,
    LeaseDone,
    LeaseGrant,
    LeaseRead,
    LeaseReadDone,
    LeaseRevoke,
    LeaseState,
    Operation,
    PutDone,
    Range,
    RangeDone,
    Transaction,
    TransactionDone,
)

TIMEOUT_MS_DEFAULT = 10_000

R = TypeVar("R")
A = TypeVar("A", bound=Answer)

_added_decoder: Decoder[list[Member]] = Decoder(list[Member], name="added member")


class AsyncClient:
    """A client of one cluster, for one event loop.

    ::

        async with AsyncClient(endpoints=["127.0.0.1:7401"], certificates="alice.pem") as client:
            await client.put("colour", "green")

    Every call takes `timeout_ms`, and ends with its answer or a `CallError`, which says whether it may have
    happened. Keys and values are bytes, or str for their UTF-8.

    Args:
        endpoints: `host:port` of nodes to begin with; the others are found by themselves.
        certificates: the path of a PEM bundle, a TLS context or what makes one; None speaks plain text, which is
            done on this machine only.
        collection: for calls that name none.
        cluster: the id that the cluster must have; empty takes that of the first node met.
        timeout_ms: for calls that name none.
        options: times and limits of the dialogue.
        random: for the order of endpoints and for jitter.
    """

    def __init__(
        self,
        *,
        endpoints: Sequence[str],
        certificates: Certificates,
        collection: str = DEFAULT_COLLECTION,
        cluster: str = "",
        timeout_ms: int = TIMEOUT_MS_DEFAULT,
        options: DialogueOptions | None = None,
        random: Random | None = None,
    ) -> None:
        self._trust = Trust(certificates)
        self._dialogue = Dialogue(
            endpoints=endpoints,
            random=random or Random(),
            cluster=cluster,
            options=options,
            software=f"libelli {__version__}",
        )
        self._collection = collection
        self._timeout_ms = timeout_ms
        self._driver: Driver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def open(self) -> None:
        """Binds the client to the running event loop; nothing is dialled before the first call."""
        if self._driver is None:
            self._loop = asyncio.get_running_loop()
            self._driver = Driver(self._dialogue, trust=self._trust, loop=self._loop)

    async def close(self) -> None:
        """Ends connections and all calls under way; the client is not usable any more."""
        if self._driver is not None:
            await self._driver.close()

    @property
    def driver(self) -> Driver:
        """What runs the dialogue.

        Raises:
            Unavailable: the client was not opened.
        """
        if self._driver is None:
            raise Unavailable("the client is not open: use it inside `async with`", code=Code.NOT_CONNECTED)
        return self._driver

    @property
    def cluster(self) -> str:
        """The cluster's id; empty until a node was met."""
        return self._dialogue.cluster

    # -- commands -------------------------------------------------------------------------------------------

    def submit(
        self,
        command: Command,
        *,
        collection: str = "",
        serializable: bool = False,
        timeout_ms: int | None = None,
    ) -> "asyncio.Future[Answer]":
        """Starts a command and returns the future of its answer; writes are applied in the order of submission.

        Raises:
            CallError: it is not accepted: over a limit, or too many wait already.
        """
        driver = self._driver or self.driver
        future: asyncio.Future[Answer] = self._loop.create_future()  # type: ignore[union-attr]
        driver.submit(
            command,
            future,
            collection=collection or self._collection,
            consistency=Consistency.SERIALIZABLE if serializable else Consistency.LINEARIZABLE,
            timeout_ms=self._timeout_ms if timeout_ms is None else timeout_ms,
        )
        return future

    async def execute(
        self, command: Command, *, collection: str = "", serializable: bool = False, timeout_ms: int | None = None
    ) -> Answer:
        """Runs any command and returns the store's answer."""
        return await self.submit(command, collection=collection, serializable=serializable, timeout_ms=timeout_ms)

    def pipeline(
        self, *, in_flight: int = IN_FLIGHT_DEFAULT, collection: str = "", timeout_ms: int | None = None
    ) -> AsyncPipeline:
        """Returns a pipeline: many commands under way at once, at most `in_flight`."""
        return AsyncPipeline(self, in_flight=in_flight, collection=collection, timeout_ms=timeout_ms)

    async def put(
        self,
        key: Data,
        value: Data,
        *,
        lease: int = 0,
        previous: bool = False,
        collection: str = "",
        timeout_ms: int | None = None,
    ) -> PutDone:
        """Sets a key; `previous` asks for what was there before."""
        command = put_command(key, value, lease=lease, previous=previous)
        return expect(await self.submit(command, collection=collection, timeout_ms=timeout_ms), PutDone)

    async def get(
        self,
        key: Data,
        *,
        revision: int = 0,
        serializable: bool = False,
        collection: str = "",
        timeout_ms: int | None = None,
    ) -> KeyValue | None:
        """Returns a key, or None when it is not there; at `revision`, if one is given."""
        command = Range(data_bytes(key, what="the key"), revision=revision)
        answer = await self._answer(command, RangeDone, collection, timeout_ms, serializable=serializable)
        return answer.items[0] if answer.items else None

    async def delete(
        self,
        key: Data,
        end: Data = b"",
        *,
        previous: bool = False,
        collection: str = "",
        timeout_ms: int | None = None,
    ) -> DeleteDone:
        """Deletes a key, or all keys from `key` to `end` and without it."""
        return await self._answer(delete_command(key, end, previous=previous), DeleteDone, collection, timeout_ms)

    async def range(
        self,
        key: Data,
        end: Data = b"",
        *,
        limit: int = 0,
        revision: int = 0,
        keys_only: bool = False,
        serializable: bool = False,
        page_keys: int = PAGE_KEYS,
        collection: str = "",
        timeout_ms: int | None = None,
    ) -> AsyncIterator[KeyValue]:
        """Yields the keys from `key` to `end` in their order, all as they were at one revision.

        Args:
            key: the first.
            end: the first that is left out; empty: `key` alone. See `prefix_range`.
            limit: at most so many keys; 0: all.
            revision: 0: the newest.
            keys_only: without values.
            serializable: ask any node; it may be behind.
            page_keys: keys in one request.
            collection: where.
            timeout_ms: for each request.
        """
        pages = Pages(key, end, limit=limit, revision=revision, keys_only=keys_only, page_keys=page_keys)
        while (command := pages.next()) is not None:
            page = await self._answer(command, RangeDone, collection, timeout_ms, serializable=serializable)
            pages.take(page)
            for item in page.items:
                yield item

    async def transact(
        self,
        compares: Sequence[Compare] = (),
        *,
        then: Sequence[Operation] = (),
        otherwise: Sequence[Operation] = (),
        collection: str = "",
        timeout_ms: int | None = None,
    ) -> TransactionDone:
        """Runs `then` if every compare holds, else `otherwise`, as one revision."""
        command = Transaction(tuple(compares), tuple(then), tuple(otherwise))
        return await self.transaction(command, collection=collection, timeout_ms=timeout_ms)

    async def transaction(
        self, transaction: Transaction, *, collection: str = "", timeout_ms: int | None = None
    ) -> TransactionDone:
        """Runs a transaction that was made already."""
        return await self._answer(transaction, TransactionDone, collection, timeout_ms)

    async def compact(self, revision: int, *, collection: str = "", timeout_ms: int | None = None) -> CompactDone:
        """Forgets history: revisions before `revision` cannot be read any more."""
        return await self._answer(Compact(revision), CompactDone, collection, timeout_ms)

    def watch(
        self,
        key: Data,
        end: Data = b"",
        *,
        start_revision: int = 0,
        previous: bool = False,
        puts: bool = True,
        deletes: bool = True,
        collection: str = "",
        timeout_ms: int | None = None,
    ) -> AsyncWatch:
        """Returns every change of the keys from `key` to `end`, from `start_revision` on (0: from now).

        Reconnects by itself for as long as it takes; `timeout_ms` is for the first opening.
        """
        request = Watch(
            0,
            collection or self._collection,
            data_bytes(key, what="the key"),
            data_bytes(end, what="the end of a range"),
            start_revision,
            previous,
            not puts,
            not deletes,
        )

        def start(watch: AsyncWatch) -> Steer:
            return self.driver.watch(request, watch, timeout_ms=self._timeout(timeout_ms))

        return AsyncWatch(start=start)

    # -- leases ---------------------------------------------------------------------------------------------

    async def grant_lease(
        self, ttl_s: int, *, lease: int = 0, collection: str = "", timeout_ms: int | None = None
    ) -> LeaseDone:
        """Makes a lease of `ttl_s` seconds; `lease` 0 lets the store choose its number."""
        return await self._answer(LeaseGrant(lease, ttl_s), LeaseDone, collection, timeout_ms)

    async def revoke_lease(self, lease: int, *, collection: str = "", timeout_ms: int | None = None) -> LeaseDone:
        """Ends a lease and deletes its keys."""
        return await self._answer(LeaseRevoke(lease), LeaseDone, collection, timeout_ms)

    async def keep_alive(self, lease: int, *, collection: str = "", timeout_ms: int | None = None) -> int:
        """Begins a lease's time anew and returns that time in seconds; 0: the lease is not there."""
        name = collection or self._collection
        told = await self._ask(lambda call: KeepAlive(call, name, lease), AtLeader(name), timeout_ms)
        return _expect(told, KeptAlive).ttl_s

    async def leases(
        self, lease: int = 0, *, keys: bool = False, collection: str = "", timeout_ms: int | None = None
    ) -> tuple[LeaseState, ...]:
        """Returns a lease, or with 0 all of them; `keys` adds the keys that end with each."""
        return (await self._answer(LeaseRead(lease, keys), LeaseReadDone, collection, timeout_ms)).leases

    # -- the cluster ----------------------------------------------------------------------------------------

    async def members(self, *, timeout_ms: int | None = None) -> tuple[Member, ...]:
        """Returns the members of the cluster as its leader knows them, by number."""
        name, deadline_ms = self._collection, self._timeout(timeout_ms)
        # a renewal of no lease is answered by a leader that has made sure that it leads; any node gives its status
        leader = await self._ask(lambda call: KeepAlive(call, name, 0), AtLeader(name), deadline_ms)
        told = await self._ask(GetStatus, AtConnection(leader.connection), deadline_ms)
        groups = _expect(told, NodeStatus).groups
        found = {member.node: member for group in groups for member in (*group.voters, *group.learners)}
        return tuple(found[node] for node in sorted(found))

    async def status(self, node: NodeId = NO_NODE, *, timeout_ms: int | None = None) -> NodeStatus:
        """Returns what a node says of itself; without a number, any node."""
        whom: Whom = AtNode(node) if node else AtAnybody(self._collection)
        return _expect(await self._ask(GetStatus, whom, timeout_ms), NodeStatus)

    async def statuses(self, *, timeout_ms: int | None = None) -> list[tuple[Member, NodeStatus | CallError]]:
        """Returns what every member says of itself, or why it did not answer, by number."""
        await self.status(timeout_ms=timeout_ms)
        members = self._dialogue.members
        calls = (self.status(member.node, timeout_ms=timeout_ms) for member in members)
        answers = await asyncio.gather(*calls, return_exceptions=True)
        found: list[tuple[Member, NodeStatus | CallError]] = []
        for member, answer in zip(members, answers, strict=True):
            if not isinstance(answer, NodeStatus | CallError):
                raise answer
            found.append((member, answer))
        return found

    async def add_member(
        self,
        name: str,
        *,
        peer_address: str,
        client_address: str = "",
        grpc_address: str = "",
        region: str = "",
        timeout_ms: int | None = None,
    ) -> Member:
        """Adds a member that learns until it is promoted, and returns it with its number."""
        member = added_member(
            name,
            region=region,
            peer_address=peer_address,
            client_address=client_address,
            grpc_address=grpc_address,
        )
        await self.members(timeout_ms=timeout_ms)  # a leader that has just been elected changes no members yet
        done = await self._change(ADD, member, timeout_ms)
        added = _added_decoder.decode(done.answers)
        if len(added) != 1:
            raise CodecError(f"{len(added)} members in answer to adding one")
        return added[0]

    async def promote_member(self, member: str | NodeId, *, timeout_ms: int | None = None) -> Member:
        """Gives a member, by name or number, a vote."""
        return await self._change_known(PROMOTE, member, timeout_ms)

    async def remove_member(self, member: str | NodeId, *, timeout_ms: int | None = None) -> Member:
        """Removes a member, by name or number; its number is never used again."""
        return await self._change_known(REMOVE, member, timeout_ms)

    async def transfer_leadership(
        self, member: str | NodeId = NO_NODE, *, timeout_ms: int | None = None
    ) -> Member | None:
        """Hands leadership to a member, by name or number; without one, to whoever is furthest."""
        if not member:
            await self._change(TRANSFER, Member(NO_NODE, ""), timeout_ms)
            return None
        return await self._change_known(TRANSFER, member, timeout_ms)

    async def save_snapshot(self, file: BinaryIO, *, timeout_ms: int | None = None) -> int:
        """Writes a consistent copy of everything to `file` and returns its size in bytes.

        `timeout_ms` is for each part. After an error the file holds a beginning, which is of no use.
        """
        loop, size = asyncio.get_running_loop(), 0
        async for part in self.snapshot_parts(timeout_ms=timeout_ms):
            await loop.run_in_executor(None, file.write, part)
            size += len(part)
        return size

    async def snapshot_parts(self, *, timeout_ms: int | None = None) -> AsyncIterator[bytes]:
        """Yields a consistent copy of everything, part by part; joined they are a snapshot file."""
        whom: Whom = AtLeader(self._collection)
        part = SnapshotPart(0, 0, b"", b"")
        while True:
            build = partial(_read_snapshot, transfer=part.transfer, cursor=part.cursor)
            told = await self._ask(build, whom, timeout_ms)
            part = _expect(told, SnapshotPart)
            yield part.data
            if not part.cursor:
                return
            whom = AtConnection(told.connection)

    async def digest(
        self,
        node: NodeId,
        *,
        revision: int = 0,
        start: Data = b"",
        keys: int = 1000,
        collection: str = "",
        timeout_ms: int | None = None,
    ) -> Digest:
        """Returns a node's hash over its items at a revision, for at most `keys` keys from `start` on."""
        name, first = collection or self._collection, data_bytes(start, what="the first key")
        told = await self._ask(lambda call: ReadDigest(call, name, revision, first, keys), AtNode(node), timeout_ms)
        return _expect(told, Digest)

    # -- inside ---------------------------------------------------------------------------------------------

    def _timeout(self, timeout_ms: int | None) -> int:
        return self._timeout_ms if timeout_ms is None else timeout_ms

    async def _answer(
        self,
        command: Command,
        kind: type[A],
        collection: str,
        timeout_ms: int | None,
        *,
        serializable: bool = False,
    ) -> A:
        future = self.submit(command, collection=collection, serializable=serializable, timeout_ms=timeout_ms)
        return expect(await future, kind)

    def _ask(
        self, build: Callable[[int], Call], whom: Whom, timeout_ms: int | None, *, repeatable: bool = True
    ) -> "asyncio.Future[Told]":
        return self.driver.ask(build, whom=whom, timeout_ms=self._timeout(timeout_ms), repeatable=repeatable)

    async def _change(self, action: str, member: Member, timeout_ms: int | None) -> Done:
        leader = AtLeader(DEFAULT_COLLECTION)
        told = await self._ask(lambda call: ChangeMember(call, action, member), leader, timeout_ms, repeatable=False)
        return _expect(told, Done)

    async def _change_known(self, action: str, wanted: str | NodeId, timeout_ms: int | None) -> Member:
        member = find_member(await self.members(timeout_ms=timeout_ms), wanted)
        await self._change(action, member, timeout_ms)
        return member


def _read_snapshot(call: int, *, transfer: int, cursor: bytes) -> ReadSnapshot:
    return ReadSnapshot(call, transfer, cursor)


def _expect(told: Told, kind: type[R]) -> R:
    if not isinstance(told.reply, kind):
        raise CodecError(f"{type(told.reply).__name__} in answer to a call that is answered by {kind.__name__}")
    return told.reply
