"""What an asyncio client asks of the cluster itself: its state, its members, copies of everything."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import BinaryIO, TypeVar

from libelli.client.dialogue import Dialogue
from libelli.client.driver import Driver
from libelli.client.keys import Data, data_bytes
from libelli.client.membership import ADD, PROMOTE, REMOVE, TRANSFER, added_member, find_member
from libelli.client.questions import AtAnybody, AtConnection, AtLeader, AtNode, Told, Whom
from libelli.core.calls import (
    Call,
    ChangeMember,
    Digest,
    Done,
    GetStatus,
    KeepAlive,
    NodeStatus,
    ReadDigest,
    ReadSnapshot,
    SnapshotPart,
)
from libelli.core.codec import Decoder
from libelli.core.errors import CallError, Code, CodecError, Unavailable
from libelli.core.ids import DEFAULT_COLLECTION, NO_NODE, NodeId
from libelli.core.members import Member

R = TypeVar("R")

_added_decoder: Decoder[list[Member]] = Decoder(list[Member], name="added member")


class ClusterCalls:
    """The calls that need no store; `AsyncClient` adds the others."""

    _dialogue: Dialogue
    _driver: Driver | None
    _collection: str
    _timeout_ms: int

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

    async def members(self, *, timeout_ms: int | None = None) -> tuple[Member, ...]:
        """Returns the members of the cluster as its leader knows them, by number."""
        name, deadline_ms = self._collection, self._timeout(timeout_ms)
        # a renewal of no lease is answered by a leader that has made sure that it leads; any node gives its status
        leader = await self._ask(lambda call: KeepAlive(call, name, 0), AtLeader(name), deadline_ms)
        told = await self._ask(GetStatus, AtConnection(leader.connection), deadline_ms)
        groups = expect_reply(told, NodeStatus).groups
        found = {member.node: member for group in groups for member in (*group.voters, *group.learners)}
        return tuple(found[node] for node in sorted(found))

    async def status(self, node: NodeId = NO_NODE, *, timeout_ms: int | None = None) -> NodeStatus:
        """Returns what a node says of itself; without a number, any node."""
        whom: Whom = AtNode(node) if node else AtAnybody(self._collection)
        return expect_reply(await self._ask(GetStatus, whom, timeout_ms), NodeStatus)

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
            part = expect_reply(told, SnapshotPart)
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
        return expect_reply(told, Digest)

    # -- inside ---------------------------------------------------------------------------------------------

    def _timeout(self, timeout_ms: int | None) -> int:
        return self._timeout_ms if timeout_ms is None else timeout_ms

    def _ask(
        self, build: Callable[[int], Call], whom: Whom, timeout_ms: int | None, *, repeatable: bool = True
    ) -> "asyncio.Future[Told]":
        return self.driver.ask(build, whom=whom, timeout_ms=self._timeout(timeout_ms), repeatable=repeatable)

    async def _change(self, action: str, member: Member, timeout_ms: int | None) -> Done:
        leader = AtLeader(DEFAULT_COLLECTION)
        told = await self._ask(lambda call: ChangeMember(call, action, member), leader, timeout_ms, repeatable=False)
        return expect_reply(told, Done)

    async def _change_known(self, action: str, wanted: str | NodeId, timeout_ms: int | None) -> Member:
        member = find_member(await self.members(timeout_ms=timeout_ms), wanted)
        await self._change(action, member, timeout_ms)
        return member


def _read_snapshot(call: int, *, transfer: int, cursor: bytes) -> ReadSnapshot:
    return ReadSnapshot(call, transfer, cursor)


def expect_reply(told: Told, kind: type[R]) -> R:
    """Returns a node's reply as what it must be.

    Raises:
        CodecError: it is something else.
    """
    if not isinstance(told.reply, kind):
        raise CodecError(f"{type(told.reply).__name__} in answer to a call that is answered by {kind.__name__}")
    return told.reply
