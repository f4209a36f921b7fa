"""The client for asyncio: every call of a cluster, as coroutines and as futures.

Calls that are made in the same round of the event loop travel together, so a program that has many calls under
way at once (`submit`, `pipeline`, or many tasks) is served many times faster than one that waits for each.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from random import Random
from typing import Self, TypeVar

from libelli import __version__
from libelli.client.administration import ClusterCalls, expect_reply
from libelli.client.commands import delete_command, expect, put_command
from libelli.client.dialogue import Dialogue
from libelli.client.driver import Driver, Steer
from libelli.client.gatherings import Gathering, Outcome
from libelli.client.keys import Data, data_bytes
from libelli.client.options import DialogueOptions
from libelli.client.paging import PAGE_KEYS, Pages
from libelli.client.pipelines import IN_FLIGHT_DEFAULT, AsyncPipeline
from libelli.client.questions import AtLeader
from libelli.client.trust import Certificates, Trust
from libelli.client.watching import AsyncWatch
from libelli.core.calls import (
    Consistency,
    KeepAlive,
    KeptAlive,
    Watch,
)
from libelli.core.errors import CallError
from libelli.core.ids import DEFAULT_COLLECTION
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

A = TypeVar("A", bound=Answer)


class AsyncClient(ClusterCalls):
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

    def submit_many(
        self,
        commands: Sequence[Command],
        *,
        collection: str = "",
        serializable: bool = False,
        timeout_ms: int | None = None,
    ) -> "asyncio.Future[list[Outcome]]":
        """Starts many commands and returns the future of what each ended with: its answer or its error."""
        driver, loop = self.driver, asyncio.get_running_loop()
        future: asyncio.Future[list[Outcome]] = loop.create_future()
        gathering = Gathering(future, len(commands))
        name, limit_ms = collection or self._collection, self._timeout(timeout_ms)
        consistency = Consistency.SERIALIZABLE if serializable else Consistency.LINEARIZABLE
        for position, command in enumerate(commands):
            slot = gathering.slot(position)
            try:
                driver.submit(command, slot, collection=name, consistency=consistency, timeout_ms=limit_ms)
            except CallError as error:
                slot.set_exception(error)
        return future

    async def execute_many(
        self,
        commands: Sequence[Command],
        *,
        collection: str = "",
        serializable: bool = False,
        timeout_ms: int | None = None,
    ) -> list[Outcome]:
        """Runs many commands together and returns what each ended with: its answer or its error."""
        return await self.submit_many(commands, collection=collection, serializable=serializable, timeout_ms=timeout_ms)

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
        return expect_reply(told, KeptAlive).ttl_s

    async def leases(
        self, lease: int = 0, *, keys: bool = False, collection: str = "", timeout_ms: int | None = None
    ) -> tuple[LeaseState, ...]:
        """Returns a lease, or with 0 all of them; `keys` adds the keys that end with each."""
        return (await self._answer(LeaseRead(lease, keys), LeaseReadDone, collection, timeout_ms)).leases

    # -- inside ---------------------------------------------------------------------------------------------

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
