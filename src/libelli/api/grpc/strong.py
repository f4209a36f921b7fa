"""The service of strong collections: commands one by one and in batches, watches and leases."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from itertools import chain
from typing import Any, TypeVar

import libelli.api.grpc.libelli_pb2 as pb
from libelli.api.grpc.calls import TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX, Door, streamed, timeout_ms, unary
from libelli.api.grpc.libelli_pb2_grpc import StrongServicer
from libelli.api.grpc.messages import (
    answer_message,
    command_of,
    delete_message,
    delete_of,
    failed_message,
    lease_message,
    leases_message,
    progress_message,
    put_message,
    put_of,
    range_message,
    range_of,
    transaction_message,
    transaction_of,
)
from libelli.core.errors import CallError, Code, CodecError, Refused
from libelli.core.limits import FRAME_COMMANDS_MAX
from libelli.stores.mvcc.commands import (
    Answer,
    Command,
    Compact,
    CompactDone,
    DeleteDone,
    LeaseDone,
    LeaseGrant,
    LeaseRead,
    LeaseReadDone,
    LeaseRevoke,
    PutDone,
    RangeDone,
    TransactionDone,
)

BATCHES_MAX = 32
"""Batches of one stream that wait for their answers; more are not read until some are answered."""
A = TypeVar("A", bound=Answer)
Started = asyncio.Future[Answer] | CallError


class Strong(StrongServicer):
    """See `libelli.proto`."""

    def __init__(self, door: Door) -> None:
        self.door = door

    # -- one command ----------------------------------------------------------------------------------------

    @unary
    async def Put(self, request: pb.PutRequest, context: Any) -> pb.PutDone:
        return put_message(await self._run(put_of(request.put), PutDone, request, context))

    @unary
    async def Range(self, request: pb.RangeRequest, context: Any) -> pb.RangeDone:
        command, serializable = range_of(request.range), request.serializable
        return range_message(await self._run(command, RangeDone, request, context, serializable=serializable))

    @unary
    async def Delete(self, request: pb.DeleteRequest, context: Any) -> pb.DeleteDone:
        return delete_message(await self._run(delete_of(request.delete), DeleteDone, request, context))

    @unary
    async def Transact(self, request: pb.TransactRequest, context: Any) -> pb.TransactionDone:
        command = transaction_of(request.transaction)
        return transaction_message(await self._run(command, TransactionDone, request, context))

    @unary
    async def Compact(self, request: pb.CompactRequest, context: Any) -> pb.CompactDone:
        answer = await self._run(Compact(request.compact.revision), CompactDone, request, context)
        return pb.CompactDone(revision=answer.revision)

    @unary
    async def GrantLease(self, request: pb.GrantLeaseRequest, context: Any) -> pb.LeaseDone:
        command = LeaseGrant(request.grant.lease, request.grant.ttl_s)
        return lease_message(await self._run(command, LeaseDone, request, context))

    @unary
    async def RevokeLease(self, request: pb.RevokeLeaseRequest, context: Any) -> pb.LeaseDone:
        return lease_message(await self._run(LeaseRevoke(request.revoke.lease), LeaseDone, request, context))

    @unary
    async def ReadLeases(self, request: pb.ReadLeasesRequest, context: Any) -> pb.LeaseReadDone:
        command = LeaseRead(request.read.lease, request.read.keys)
        return leases_message(await self._run(command, LeaseReadDone, request, context))

    # -- streams --------------------------------------------------------------------------------------------

    @streamed
    async def Exchange(self, requests: AsyncIterator[pb.Batch], context: Any) -> AsyncIterator[pb.BatchDone]:
        """Reads batches while others wait: what arrives meanwhile travels in the same frames."""
        waiting: asyncio.Queue[tuple[int, list[Started]]] = asyncio.Queue(BATCHES_MAX)
        begun: deque[list[Started]] = deque()

        async def read() -> None:
            async for batch in requests:
                started = self._start(batch)
                begun.append(started)
                await waiting.put((batch.number, started))

        reader = asyncio.create_task(read())
        try:
            while (found := await _next(waiting, reader)) is not None:
                number, started = found
                answers = [await _settled(each) for each in started]
                begun.popleft()
                yield pb.BatchDone(number=number, answers=answers)
        finally:
            reader.cancel()
            await asyncio.wait((reader,))
            if not reader.cancelled():
                reader.exception()  # was told already, or nobody is there to be told
            for each in chain.from_iterable(begun):
                _abandon(each)

    @streamed
    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchProgress]:
        watch = self.door.client.watch(
            request.key,
            request.end,
            start_revision=request.start_revision,
            previous=request.previous,
            puts=not request.no_puts,
            deletes=not request.no_deletes,
            collection=request.collection,
            timeout_ms=timeout_ms(context),
        )
        async with watch:
            yield progress_message(watch.revision, ())
            while events := await watch.batch():
                yield progress_message(watch.revision, events)

    @streamed
    async def KeepAlive(
        self, requests: AsyncIterator[pb.KeepAliveRequest], context: Any
    ) -> AsyncIterator[pb.KeptAlive]:
        async for request in requests:
            ttl_s = await self.door.client.keep_alive(
                request.lease, collection=request.collection, timeout_ms=timeout_ms(context)
            )
            yield pb.KeptAlive(lease=request.lease, ttl_s=ttl_s)

    # -- inside ---------------------------------------------------------------------------------------------

    async def _run(
        self, command: Command, kind: type[A], request: Any, context: Any, *, serializable: bool = False
    ) -> A:
        answer = await self.door.client.execute(
            command, collection=request.collection, serializable=serializable, timeout_ms=timeout_ms(context)
        )
        if not isinstance(answer, kind):
            raise CodecError(f"{type(answer).__name__} in answer to {type(command).__name__}")
        return answer

    def _start(self, batch: pb.Batch) -> list[Started]:
        """Starts the commands of a batch; returns a future or an error for each."""
        if len(batch.commands) > FRAME_COMMANDS_MAX:
            message = f"{len(batch.commands)} commands in a batch; the limit is {FRAME_COMMANDS_MAX}: send less at once"
            raise Refused(message, code=Code.TOO_MANY_OPERATIONS)
        limit_ms = min(batch.timeout_ms, TIMEOUT_MS_MAX) if batch.timeout_ms > 0 else TIMEOUT_MS_DEFAULT
        client, collection = self.door.client, batch.collection
        started: list[Started] = []
        for each in batch.commands:
            try:
                future = client.submit(command_of(each), collection=collection, timeout_ms=limit_ms)
            except CallError as error:
                started.append(error)
            else:
                started.append(future)
        return started


async def _settled(started: Started) -> pb.Answer:
    """Returns the answer to a command that was started, or how it failed."""
    if isinstance(started, CallError):
        return pb.Answer(failed=failed_message(started.code, str(started)))
    try:
        return answer_message(await started)
    except CallError as error:
        return pb.Answer(failed=failed_message(error.code, str(error)))


def _abandon(started: Started) -> None:
    """The caller has gone: what was sent goes on, and nobody waits for it."""
    if isinstance(started, asyncio.Future) and not started.cancel() and not started.cancelled():
        started.exception()


async def _next(
    waiting: "asyncio.Queue[tuple[int, list[Started]]]", reader: "asyncio.Task[None]"
) -> tuple[int, list[Started]] | None:
    """Returns the next batch, None after the last, or raises what ended the reader."""
    if waiting.empty() and not reader.done():
        getter = asyncio.create_task(waiting.get())
        try:
            await asyncio.wait((getter, reader), return_when=asyncio.FIRST_COMPLETED)
            if getter.done():
                return getter.result()
        finally:
            getter.cancel()
    if waiting.empty():
        reader.result()
        return None
    return waiting.get_nowait()
