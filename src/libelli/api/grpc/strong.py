"""The service of strong collections: commands one by one and in batches, watches and leases."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple, TypeVar

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
from libelli.client import Outcome
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
        waiting: asyncio.Queue[Started] = asyncio.Queue(BATCHES_MAX)

        async def read() -> None:
            async for batch in requests:
                await waiting.put(self._start(batch))

        reader = asyncio.create_task(read())
        try:
            while (started := await _next(waiting, reader)) is not None:
                yield await started.answers()
        finally:
            reader.cancel()
            await asyncio.wait((reader,))
            if not reader.cancelled():
                reader.exception()  # was told already, or nobody is there to be told

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

    def _start(self, batch: pb.Batch) -> "Started":
        """Starts the commands of a batch.

        Raises:
            Refused: there are too many.
        """
        if len(batch.commands) > FRAME_COMMANDS_MAX:
            message = f"{len(batch.commands)} commands in a batch; the limit is {FRAME_COMMANDS_MAX}: send less at once"
            raise Refused(message, code=Code.TOO_MANY_OPERATIONS)
        limit_ms = min(batch.timeout_ms, TIMEOUT_MS_MAX) if batch.timeout_ms > 0 else TIMEOUT_MS_DEFAULT
        commands: list[Command] = []
        refused: dict[int, CallError] = {}
        for position, each in enumerate(batch.commands):
            try:
                commands.append(command_of(each))
            except CallError as error:
                refused[position] = error
        future = self.door.client.submit_many(commands, collection=batch.collection, timeout_ms=limit_ms)
        return Started(batch.number, future, refused)


class Started(NamedTuple):
    """A batch under way; `refused` are those of its commands that no command could be made of."""

    number: int
    future: asyncio.Future[list[Outcome]]
    refused: dict[int, CallError]

    async def answers(self) -> pb.BatchDone:
        """Waits for the answers to all commands."""
        outcomes = list(await self.future)
        for position, error in self.refused.items():  # in their order, so each finds its place
            outcomes.insert(position, error)
        return pb.BatchDone(number=self.number, answers=map(_outcome_message, outcomes))


def _outcome_message(outcome: Outcome) -> pb.Answer:
    if isinstance(outcome, CallError):
        return pb.Answer(failed=failed_message(outcome.code, str(outcome)))
    return answer_message(outcome)


async def _next(waiting: "asyncio.Queue[Started]", reader: "asyncio.Task[None]") -> Started | None:
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
