"""The client against the real node and store: what etcd's model promises arrives at the caller."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from libelli.client import AsyncClient, Compacted, prefix_range
from libelli.core.errors import Code, Refused
from libelli.core.ids import NodeId
from libelli.live.certificates import Kind, server_context
from libelli.stores.mvcc.commands import Compare, CompareResult, CompareTarget, DeleteRange, Put, PutDone, Range
from tests.client.alone import CLUSTER, Alone
from tests.live.certificates.handshakes import issue, new_authority

LIMIT_S = 60

Story = Callable[[AsyncClient, Alone], Awaitable[None]]


def play(story: Story) -> None:
    async def run() -> None:
        async with (
            asyncio.timeout(LIMIT_S),
            Alone() as alone,
            AsyncClient(endpoints=[alone.endpoint], certificates=None, cluster=CLUSTER) as client,
        ):
            await story(client, alone)

    asyncio.run(run())


def test_put_get_delete_with_what_was_before() -> None:
    async def story(client: AsyncClient, _: Alone) -> None:
        first = await client.put("a", "1")
        second = await client.put("a", "2", previous=True)
        assert second.previous is not None
        assert (second.previous.value, second.revision) == (b"1", first.revision + 1)
        old = await client.get("a", revision=first.revision)
        assert old is not None
        assert old.value == b"1"
        gone = await client.delete("a", previous=True)
        assert (gone.deleted, gone.previous[0].value) == (1, b"2")
        assert await client.get("a") is None

    play(story)


def test_a_transaction_runs_one_branch() -> None:
    async def story(client: AsyncClient, _: Alone) -> None:
        missing = Compare(b"a", CompareTarget.VERSION, CompareResult.EQUAL, 0)
        for expected in (True, False):
            done = await client.transact([missing], then=[Put(b"a", b"1")], otherwise=[Range(b"a")])
            assert done.succeeded is expected
        assert (await client.get("a")) is not None

    play(story)


def test_pages_of_a_range_are_of_one_revision_while_others_write() -> None:
    async def story(client: AsyncClient, _: Alone) -> None:
        async with client.pipeline() as pipeline:
            for number in range(50):
                await pipeline.put(f"k{number:02}", b"old")
        seen = []
        async for item in client.range(*prefix_range("k"), page_keys=7):
            seen.append(item.value)
            if len(seen) % 7 == 1:
                await client.put(f"k{49 - len(seen):02}", b"new")
        assert seen == [b"old"] * 50

    play(story)


def test_watch_and_compaction() -> None:
    async def story(client: AsyncClient, alone: Alone) -> None:
        async with client.watch(*prefix_range("a"), previous=True) as watch:
            await client.put("a1", "x")
            alone.cut()
            await client.put("a1", "y")
            await client.put("b", "z")
            await client.delete("a1")
            events = [await anext(watch) for _ in range(3)]
        assert [(event.item.value, event.item.version) for event in events] == [(b"x", 1), (b"y", 2), (b"", 0)]
        assert events[2].previous is not None
        assert events[2].previous.value == b"y"
        revision = events[2].item.mod_revision
        await client.compact(revision)
        with pytest.raises(Compacted):
            async for _ in client.watch("a1", start_revision=1):
                pass
        with pytest.raises(Refused) as caught:
            await client.get("a1", revision=1)
        assert caught.value.code is Code.COMPACTED

    play(story)


def test_leases_end_with_their_keys() -> None:
    async def story(client: AsyncClient, _: Alone) -> None:
        lease = (await client.grant_lease(60)).lease
        await client.put("a", "b", lease=lease)
        assert await client.keep_alive(lease) == 60
        (state,) = await client.leases(lease, keys=True)
        assert state.keys == (b"a",)
        assert 0 < state.remaining_ms <= 60_000
        await client.revoke_lease(lease)
        assert await client.get("a") is None
        assert await client.keep_alive(lease) == 0
        with pytest.raises(Refused) as caught:
            await client.put("a", "b", lease=lease)
        assert caught.value.code is Code.LEASE_NOT_FOUND

    play(story)


def test_status_members_digest_and_snapshot() -> None:
    async def story(client: AsyncClient, _: Alone) -> None:
        await client.put("a", "b")
        ((member, status),) = await client.statuses()
        assert (member.name, getattr(status, "region", "")) == ("n1", "here")
        assert [each.name for each in await client.members()] == ["n1"]
        digest = await client.digest(NodeId(1))
        assert digest.keys == 1
        file = io.BytesIO()
        assert await client.save_snapshot(file) == len(file.getvalue()) > 0

    play(story)


def test_the_last_voter_cannot_be_removed() -> None:
    async def story(client: AsyncClient, _: Alone) -> None:
        with pytest.raises(Refused) as caught:
            await client.remove_member("n1")
        assert caught.value.code is Code.UNSAFE_CHANGE

    play(story)


def test_a_member_is_added_with_a_number_of_its_own() -> None:
    async def story(client: AsyncClient, _: Alone) -> None:
        member = await client.add_member("n2", peer_address="127.0.0.1:2", client_address="127.0.0.1:3")
        assert member.node == 2
        with pytest.raises(Refused) as caught:
            await client.add_member("n2", peer_address="127.0.0.1:4")
        assert caught.value.code is Code.MEMBER_EXISTS

    play(story)


def test_writes_survive_connections_that_break_all_the_time_and_happen_once() -> None:
    async def story(client: AsyncClient, alone: Alone) -> None:
        for number in range(8):
            futures = [client.submit(Put(b"n", b"%d" % number)), client.submit(DeleteRange(b"x"))]
            await asyncio.sleep(0)
            alone.cut()
            await asyncio.gather(*futures)
        item = await client.get("n")
        assert item is not None
        assert (item.value, item.version) == (b"7", 8)

    play(story)


def test_a_real_node_over_mutual_tls(tmp_path: Path) -> None:
    authority = new_authority(tmp_path / "authority")

    async def run() -> None:
        async with asyncio.timeout(LIMIT_S), Alone(context=server_context(issue(authority, "n1"))) as alone:
            bundle = issue(authority, "alice", Kind.CLIENT).bundle
            async with AsyncClient(endpoints=[alone.endpoint], certificates=bundle) as client:
                assert isinstance(await client.put("a", "b"), PutDone)
                assert client.cluster == CLUSTER

    asyncio.run(run())
