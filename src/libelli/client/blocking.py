"""The same client for threads: one event loop in the background, and calls that wait for their answers.

::

    thread ── put(…) ──► mailbox ── one wake-up for many ──► loop: AsyncClient ──► nodes
       ▲                                                        │
       └──────────────────────── future ◄──────────────────────┘
"""

import asyncio
import threading
from collections import deque
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from random import Random
from typing import Any, BinaryIO, Self, TypeVar

from libelli.client.aio import TIMEOUT_MS_DEFAULT, AsyncClient
from libelli.client.blocking_watch import Watch
from libelli.client.commands import delete_command, expect, put_command
from libelli.client.gatherings import Outcome
from libelli.client.keys import Data, data_bytes
from libelli.client.options import DialogueOptions
from libelli.client.paging import PAGE_KEYS, Pages
from libelli.client.pipelines import IN_FLIGHT_DEFAULT, Pipeline
from libelli.client.trust import Certificates
from libelli.core.calls import Consistency, Digest, NodeStatus
from libelli.core.errors import CallError, Code, Unavailable
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

T = TypeVar("T")
A = TypeVar("A", bound=Answer)
Submission = tuple[Command, "Future[Answer]", str, Consistency, int]


class Client:
    """A client of one cluster, for any number of threads.

    ::

        with Client(endpoints=["127.0.0.1:7401"], certificates="alice.pem") as client:
            client.put("colour", "green")

    The arguments are those of `AsyncClient`; so are the calls, their arguments and their errors.
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
        self._client = AsyncClient(
            endpoints=endpoints,
            certificates=certificates,
            collection=collection,
            cluster=cluster,
            timeout_ms=timeout_ms,
            options=options,
            random=random,
        )
        self._collection = collection
        self._timeout_ms = timeout_ms
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._mailbox: deque[Submission] = deque()
        self._is_woken = False

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Starts the background thread; nothing is dialled before the first call."""
        if self._loop is None:
            loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=_run_loop, args=(loop,), name="libelli-client", daemon=True)
            self._thread.start()
            self._loop = loop
            self.run(_open(self._client))

    def close(self) -> None:
        """Ends connections, calls under way and the thread; the client is not usable any more."""
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._client.close(), loop).result()
        loop.call_soon_threadsafe(self._drain)
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.run_until_complete(_cancel_the_rest())
        loop.close()
        self._is_woken = False  # so that whoever is late finds the loop closed
        while self._mailbox:
            _, future, *_ = self._mailbox.popleft()
            if future.set_running_or_notify_cancel():
                future.set_exception(_not_open())

    @property
    def is_open(self) -> bool:
        """Whether calls are possible."""
        return self._loop is not None

    @property
    def cluster(self) -> str:
        """The cluster's id; empty until a node was met."""
        return self._client.cluster

    # -- commands -------------------------------------------------------------------------------------------

    def submit(
        self,
        command: Command,
        *,
        collection: str = "",
        serializable: bool = False,
        timeout_ms: int | None = None,
    ) -> "Future[Answer]":
        """Starts a command and returns the future of its answer; a thread's writes are applied in its order."""
        future: Future[Answer] = Future()
        consistency = Consistency.SERIALIZABLE if serializable else Consistency.LINEARIZABLE
        timeout_ms = self._timeout_ms if timeout_ms is None else timeout_ms
        loop = self._loop
        if loop is None:
            raise _not_open()
        self._mailbox.append((command, future, collection or self._collection, consistency, timeout_ms))
        if not self._is_woken:
            self._is_woken = True
            try:
                loop.call_soon_threadsafe(self._drain)
            except RuntimeError as error:  # another thread has closed the client meanwhile
                raise _not_open() from error
        return future

    def execute(
        self, command: Command, *, collection: str = "", serializable: bool = False, timeout_ms: int | None = None
    ) -> Answer:
        """Runs any command and returns the store's answer."""
        return self._wait(self.submit(command, collection=collection, serializable=serializable, timeout_ms=timeout_ms))

    def execute_many(
        self,
        commands: Sequence[Command],
        *,
        collection: str = "",
        serializable: bool = False,
        timeout_ms: int | None = None,
    ) -> list[Outcome]:
        """Runs many commands together and returns what each ended with: its answer or its error."""
        return self.run(
            self._client.execute_many(commands, collection=collection, serializable=serializable, timeout_ms=timeout_ms)
        )

    def pipeline(
        self, *, in_flight: int = IN_FLIGHT_DEFAULT, collection: str = "", timeout_ms: int | None = None
    ) -> Pipeline:
        """Returns a pipeline for one thread: many commands under way at once, at most `in_flight`."""
        return Pipeline(self, in_flight=in_flight, collection=collection, timeout_ms=timeout_ms)

    def put(
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
        return self._answer(command, PutDone, collection, timeout_ms)

    def get(
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
        answer = self._answer(command, RangeDone, collection, timeout_ms, serializable=serializable)
        return answer.items[0] if answer.items else None

    def delete(
        self,
        key: Data,
        end: Data = b"",
        *,
        previous: bool = False,
        collection: str = "",
        timeout_ms: int | None = None,
    ) -> DeleteDone:
        """Deletes a key, or all keys from `key` to `end` and without it."""
        return self._answer(delete_command(key, end, previous=previous), DeleteDone, collection, timeout_ms)

    def range(
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
    ) -> Iterator[KeyValue]:
        """Yields the keys from `key` to `end` in their order, all at one revision; see `AsyncClient.range`."""
        pages = Pages(key, end, limit=limit, revision=revision, keys_only=keys_only, page_keys=page_keys)
        while (command := pages.next()) is not None:
            page = self._answer(command, RangeDone, collection, timeout_ms, serializable=serializable)
            pages.take(page)
            yield from page.items

    def transact(
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
        return self.transaction(command, collection=collection, timeout_ms=timeout_ms)

    def transaction(
        self, transaction: Transaction, *, collection: str = "", timeout_ms: int | None = None
    ) -> TransactionDone:
        """Runs a transaction that was made already."""
        return self._answer(transaction, TransactionDone, collection, timeout_ms)

    def compact(self, revision: int, *, collection: str = "", timeout_ms: int | None = None) -> CompactDone:
        """Forgets history: revisions before `revision` cannot be read any more."""
        return self._answer(Compact(revision), CompactDone, collection, timeout_ms)

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
    ) -> Watch:
        """Returns every change of the keys from `key` to `end`, from `start_revision` on (0: from now)."""
        watch = self._client.watch(
            key,
            end,
            start_revision=start_revision,
            previous=previous,
            puts=puts,
            deletes=deletes,
            collection=collection,
            timeout_ms=timeout_ms,
        )
        return Watch(self, watch)

    # -- leases ---------------------------------------------------------------------------------------------

    def grant_lease(
        self, ttl_s: int, *, lease: int = 0, collection: str = "", timeout_ms: int | None = None
    ) -> LeaseDone:
        """Makes a lease of `ttl_s` seconds; `lease` 0 lets the store choose its number."""
        return self._answer(LeaseGrant(lease, ttl_s), LeaseDone, collection, timeout_ms)

    def revoke_lease(self, lease: int, *, collection: str = "", timeout_ms: int | None = None) -> LeaseDone:
        """Ends a lease and deletes its keys."""
        return self._answer(LeaseRevoke(lease), LeaseDone, collection, timeout_ms)

    def keep_alive(self, lease: int, *, collection: str = "", timeout_ms: int | None = None) -> int:
        """Begins a lease's time anew and returns that time in seconds; 0: the lease is not there."""
        return self.run(self._client.keep_alive(lease, collection=collection, timeout_ms=timeout_ms))

    def leases(
        self, lease: int = 0, *, keys: bool = False, collection: str = "", timeout_ms: int | None = None
    ) -> tuple[LeaseState, ...]:
        """Returns a lease, or with 0 all of them; `keys` adds the keys that end with each."""
        return self._answer(LeaseRead(lease, keys), LeaseReadDone, collection, timeout_ms).leases

    # -- the cluster ----------------------------------------------------------------------------------------

    def members(self, *, timeout_ms: int | None = None) -> tuple[Member, ...]:
        """Returns the members of the cluster as its leader knows them, by number."""
        return self.run(self._client.members(timeout_ms=timeout_ms))

    def status(self, node: NodeId = NO_NODE, *, timeout_ms: int | None = None) -> NodeStatus:
        """Returns what a node says of itself; without a number, any node."""
        return self.run(self._client.status(node, timeout_ms=timeout_ms))

    def statuses(self, *, timeout_ms: int | None = None) -> list[tuple[Member, NodeStatus | CallError]]:
        """Returns what every member says of itself, or why it did not answer, by number."""
        return self.run(self._client.statuses(timeout_ms=timeout_ms))

    def add_member(
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
        return self.run(
            self._client.add_member(
                name,
                peer_address=peer_address,
                client_address=client_address,
                grpc_address=grpc_address,
                region=region,
                timeout_ms=timeout_ms,
            )
        )

    def promote_member(self, member: str | NodeId, *, timeout_ms: int | None = None) -> Member:
        """Gives a member, by name or number, a vote."""
        return self.run(self._client.promote_member(member, timeout_ms=timeout_ms))

    def remove_member(self, member: str | NodeId, *, timeout_ms: int | None = None) -> Member:
        """Removes a member, by name or number; its number is never used again."""
        return self.run(self._client.remove_member(member, timeout_ms=timeout_ms))

    def transfer_leadership(self, member: str | NodeId = NO_NODE, *, timeout_ms: int | None = None) -> Member | None:
        """Hands leadership to a member, by name or number; without one, to whoever is furthest."""
        return self.run(self._client.transfer_leadership(member, timeout_ms=timeout_ms))

    def save_snapshot(self, file: BinaryIO, *, timeout_ms: int | None = None) -> int:
        """Writes a consistent copy of everything to `file` and returns its size in bytes."""
        return self.run(self._client.save_snapshot(file, timeout_ms=timeout_ms))

    def digest(
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
        return self.run(
            self._client.digest(
                node, revision=revision, start=start, keys=keys, collection=collection, timeout_ms=timeout_ms
            )
        )

    # -- inside ---------------------------------------------------------------------------------------------

    def _answer(
        self,
        command: Command,
        kind: type[A],
        collection: str,
        timeout_ms: int | None,
        *,
        serializable: bool = False,
    ) -> A:
        future = self.submit(command, collection=collection, serializable=serializable, timeout_ms=timeout_ms)
        return expect(self._wait(future), kind)

    def _drain(self) -> None:
        """Hands over all that was submitted; runs on the loop."""
        self._is_woken = False  # before the box is emptied: what comes later wakes the loop again
        driver, mailbox = self._client.driver, self._mailbox
        while mailbox:
            command, future, collection, consistency, timeout_ms = mailbox.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                driver.submit(command, future, collection=collection, consistency=consistency, timeout_ms=timeout_ms)
            except CallError as error:
                future.set_exception(error)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Waits for a coroutine that runs on the client's loop."""
        if self._loop is None:
            coroutine.close()
            raise _not_open()
        return self._wait(asyncio.run_coroutine_threadsafe(coroutine, self._loop))

    @staticmethod
    def _wait(future: "Future[T]") -> T:
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise
        except CancelledError as error:  # the client was closed meanwhile
            raise _not_open() from error


async def _open(client: AsyncClient) -> None:
    client.open()


async def _cancel_the_rest() -> None:
    """Ends what other threads began while the client was closed."""
    await asyncio.sleep(0)
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()


def _not_open() -> Unavailable:
    return Unavailable("the client is not open: use it inside `with`", code=Code.NOT_CONNECTED)
