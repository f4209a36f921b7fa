"""The asyncio client over real sockets: answers, errors, streams that break, and both event loops."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from libelli.client import AsyncClient, Compacted, prefix_range
from libelli.client import watching as watching_module
from libelli.core.calls import Write
from libelli.core.errors import CertificateError, Code, DidNotHappen, MayHaveHappened, Refused, Unavailable
from libelli.core.ids import NodeId
from libelli.live.certificates import Kind, server_context
from libelli.live.certificates.contexts import bare_context
from libelli.stores.mvcc.commands import Command, Compact, LeaseGrant, Put, PutDone, Range, RangeDone, Transaction
from tests.client.cluster import Deafness, FakeCluster
from tests.client.server import Listening, writes
from tests.live.certificates.handshakes import issue, new_authority

LIMIT_S = 60

Story = Callable[[AsyncClient, FakeCluster, Listening], Awaitable[None]]


def play(story: Story, *, cluster: FakeCluster | None = None, use_uvloop: bool = False, **arguments: Any) -> None:
    """Runs a story with a client of a fake cluster on loopback."""

    async def run() -> None:
        fake = cluster or FakeCluster()
        async with asyncio.timeout(LIMIT_S), Listening(fake) as listening:
            wanted = {"endpoints": listening.endpoints, "certificates": None} | arguments
            async with AsyncClient(**wanted) as client:
                await story(client, fake, listening)

    (uvloop.run if use_uvloop else asyncio.run)(run())


@pytest.mark.parametrize("use_uvloop", [False, True])
def test_put_and_get_on_either_event_loop(use_uvloop: bool) -> None:
    async def story(client: AsyncClient, *_: Any) -> None:
        done = await client.put("ключ", "значение")
        assert done == PutDone(2)
        item = await client.get("ключ")
        assert item is not None
        assert item.value == "значение".encode()
        assert await client.get(b"missing") is None

    play(story, use_uvloop=use_uvloop)


def test_keys_are_bytes_or_text_and_nothing_else() -> None:
    async def story(client: AsyncClient, *_: Any) -> None:
        await client.put(bytearray(b"a"), memoryview(b"b"))
        with pytest.raises(Refused, match="of type int"):
            await client.put("a", 7)  # type: ignore[arg-type]
        with pytest.raises(Refused, match="empty"):
            await client.put("", "x")

    play(story)


def test_a_refused_command_raises_what_the_store_said() -> None:
    async def story(client: AsyncClient, *_: Any) -> None:
        with pytest.raises(Refused) as caught:
            await client.compact(7)
        assert caught.value.code is Code.UNSUPPORTED

    play(story)


def test_puts_of_many_tasks_share_frames_and_keep_their_order() -> None:
    async def story(client: AsyncClient, cluster: FakeCluster, _: Listening) -> None:
        futures = [client.submit(Put(b"k%d" % number, b"v")) for number in range(1000)]
        await asyncio.gather(*futures)
        assert [each.key for each in cluster.applied] == [b"k%d" % number for number in range(1000)]
        assert writes(cluster) < 20

    play(story)


def test_many_commands_are_waited_for_together_each_with_its_own_outcome() -> None:
    async def story(client: AsyncClient, *_: Any) -> None:
        commands: list[Command] = [Put(b"a", b"1"), Put(b"", b"x"), Compact(5), Range(b"a"), Put(b"b", b"2")]
        first, second, third, fourth, fifth = await client.execute_many(commands)
        assert [type(each) for each in (first, fourth, fifth)] == [PutDone, RangeDone, PutDone]
        assert isinstance(second, Refused)
        assert isinstance(third, Refused)
        assert third.code is Code.UNSUPPORTED
        assert await client.execute_many([]) == []

    play(story)


def test_a_pipeline_keeps_to_its_limit_and_waits_for_all() -> None:
    async def story(client: AsyncClient, cluster: FakeCluster, _: Listening) -> None:
        async with client.pipeline(in_flight=8) as pipeline:
            for number in range(100):
                await pipeline.put(f"k{number}", b"v")
        assert len(cluster.applied) == 100
        assert writes(cluster) >= 100 // 8

    play(story)


def test_a_pipeline_raises_the_first_error() -> None:
    async def story(client: AsyncClient, *_: Any) -> None:
        pipeline = client.pipeline()
        first, second = await pipeline.delete("a"), await pipeline.put("b", "c")
        with pytest.raises(Refused, match="beyond this cluster"):
            await pipeline.drain()
        assert isinstance(first.exception(), Refused)
        assert isinstance(second.result(), PutDone)

    play(story)


def test_a_large_range_is_read_in_pages_without_losing_or_repeating_a_key() -> None:
    async def story(client: AsyncClient, *_: Any) -> None:
        async with client.pipeline() as pipeline:
            for number in range(25):
                await pipeline.put(f"k{number:02}", b"v")
        found = [item.key async for item in client.range(*prefix_range("k"), page_keys=10)]
        assert found == [b"k%02d" % number for number in range(25)]
        some = [item.key async for item in client.range(*prefix_range("k"), page_keys=10, limit=12)]
        assert some == found[:12]

    play(story)


def test_connections_that_break_are_not_seen_by_callers() -> None:
    async def story(client: AsyncClient, cluster: FakeCluster, listening: Listening) -> None:
        for number in range(5):
            futures = [client.submit(Put(b"k%d-%d" % (number, each), b"v")) for each in range(10)]
            await asyncio.sleep(0)
            listening.cut()
            await asyncio.gather(*futures)
        assert len(cluster.applied) == 50

    play(story)


def test_a_stopped_leader_is_replaced() -> None:
    async def story(client: AsyncClient, cluster: FakeCluster, listening: Listening) -> None:
        await client.put("a", "b")
        listening.stop(1)
        cluster.leader = 3
        await client.put("c", "d")
        assert len(cluster.applied) == 2

    play(story)


def test_a_timeout_says_whether_it_may_have_happened() -> None:
    async def story(client: AsyncClient, cluster: FakeCluster, _: Listening) -> None:
        await client.put("a", "b")
        cluster.mood = lambda _, call: Deafness() if isinstance(call, Write) else None
        with pytest.raises(MayHaveHappened):
            await client.put("a", "c", timeout_ms=50)

    async def nobody_leads(client: AsyncClient, *_: Any) -> None:
        with pytest.raises(DidNotHappen):
            await client.put("a", "d", timeout_ms=50)

    play(story)
    play(nobody_leads, cluster=FakeCluster(leader=0))


def test_a_cancelled_call_leaves_the_others_alone() -> None:
    async def story(client: AsyncClient, *_: Any) -> None:
        first, second = (client.submit(Put(key, b"v")) for key in (b"a", b"b"))
        first.cancel()
        assert isinstance(await second, PutDone)

    play(story)


def test_an_unopened_and_a_closed_client_say_so() -> None:
    async def run() -> None:
        client = AsyncClient(endpoints=["127.0.0.1:1"], certificates=None)
        with pytest.raises(Unavailable, match="not open"):
            client.submit(Range(b"a"))
        async with client:
            waiting = client.submit(Range(b"a"))
        with pytest.raises(Unavailable, match="closed"):
            await waiting
        with pytest.raises(Unavailable, match="closed"):
            client.submit(Range(b"a"))

    asyncio.run(run())


@pytest.mark.parametrize("endpoint", ["nonsense", "host:", "127.0.0.1:99999", ":7", "example.org:7401"])
def test_an_address_that_cannot_work_is_named(endpoint: str) -> None:
    async def run() -> None:
        async with AsyncClient(endpoints=[endpoint], certificates=None, timeout_ms=5_000) as client:
            with pytest.raises(Refused, match=endpoint):
                await client.get("a")

    asyncio.run(run())


def test_a_watch_sees_every_change_over_broken_connections() -> None:
    async def story(client: AsyncClient, cluster: FakeCluster, listening: Listening) -> None:
        async with client.watch(*prefix_range("")) as watch:
            for number in range(30):
                await client.put(f"k{number}", b"v")
                if number % 10 == 5:
                    listening.cut()
            found = [(await anext(watch)).item.key for _ in range(30)]
        assert found == [b"k%d" % number for number in range(30)]
        assert watch.revision == cluster.revision
        assert [event async for event in watch] == []

    play(story)


def test_a_slow_reader_pauses_its_watch_and_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching_module, "BUFFER_EVENTS_MAX", 10)

    async def story(client: AsyncClient, cluster: FakeCluster, _: Listening) -> None:
        async with client.watch(*prefix_range("")) as watch:
            for number in range(100):
                await client.put(f"k{number}", b"v")
            assert cluster.watches == {}, "the node was not told to stop"
            found = [(await anext(watch)).item.key for _ in range(100)]
        assert found == [b"k%d" % number for number in range(100)]

    play(story)


def test_a_watch_of_compacted_history_raises_where_history_begins() -> None:
    async def story(client: AsyncClient, cluster: FakeCluster, _: Listening) -> None:
        cluster.compact_revision = 40
        with pytest.raises(Compacted) as caught:
            async for _event in client.watch("a", start_revision=3):
                pass
        assert caught.value.compact_revision == 40

    play(story)


def test_leases_members_and_status() -> None:
    async def story(client: AsyncClient, cluster: FakeCluster, listening: Listening) -> None:
        assert (await client.grant_lease(60)).lease == 7
        assert await client.keep_alive(7) == 60
        assert await client.keep_alive(0) == 0
        assert [member.name for member in await client.members()] == ["n1", "n2", "n3"]
        assert (await client.status(NodeId(2))).name == "n2"
        listening.stop(3)
        names = [(member.name, isinstance(status, Unavailable)) for member, status in await client.statuses()]
        assert names == [("n1", False), ("n2", False), ("n3", True)]
        with pytest.raises(Refused, match="'n9' is no member"):
            await client.remove_member("n9")
        assert client.cluster == cluster.name

    play(story)


def test_a_lease_without_end_and_an_empty_transaction_are_told_apart() -> None:
    async def story(client: AsyncClient, *_: Any) -> None:
        with pytest.raises(Refused) as caught:
            await client.execute(LeaseGrant(0, 0))
        assert caught.value.code is Code.INVALID
        with pytest.raises(Refused, match="Transaction is beyond"):
            await client.transaction(Transaction(), timeout_ms=5_000)

    play(story)


# -- certificates ---------------------------------------------------------------------------------------------


def meet(tmp_path: Path, *, names: tuple[str, ...], certificates: Any, story: Story) -> None:
    """Runs a story against nodes with certificates of `names`."""
    authority = new_authority(tmp_path / "authority")
    contexts = [server_context(issue(authority, name)) for name in names]
    client = issue(authority, "alice", Kind.CLIENT).bundle if certificates is None else certificates

    async def run() -> None:
        fake = FakeCluster(nodes=len(names))
        async with (
            asyncio.timeout(LIMIT_S),
            Listening(fake, contexts=contexts) as listening,
            AsyncClient(endpoints=listening.endpoints, certificates=client) as opened,
        ):
            await story(opened, fake, listening)

    asyncio.run(run())


async def put_one(client: AsyncClient, cluster: FakeCluster, _: Listening) -> None:
    await client.put("a", "b")
    assert len(cluster.applied) == 1


def test_a_bundle_opens_the_way_over_mutual_tls(tmp_path: Path) -> None:
    meet(tmp_path, names=("n1", "n2"), certificates=None, story=put_one)


def test_a_node_with_the_certificate_of_another_member_is_refused(tmp_path: Path) -> None:
    async def story(client: AsyncClient, cluster: FakeCluster, _: Listening) -> None:
        with pytest.raises(Refused, match="its certificate says n2"):
            await client.put("a", "b")
        assert cluster.calls == []

    meet(tmp_path, names=("n2",), certificates=None, story=story)


def test_a_node_of_another_authority_is_refused(tmp_path: Path) -> None:
    other = new_authority(tmp_path / "other")

    async def story(client: AsyncClient, cluster: FakeCluster, _: Listening) -> None:
        with pytest.raises(Refused, match="certificate"):
            await client.put("a", "b")
        assert cluster.calls == []

    meet(tmp_path, names=("n1",), certificates=issue(other, "alice", Kind.CLIENT).bundle, story=story)


def test_a_client_without_certificate_is_turned_away(tmp_path: Path) -> None:
    def blind() -> ssl.SSLContext:
        context = bare_context(ssl.PROTOCOL_TLS_CLIENT)
        context.verify_mode = ssl.CERT_NONE
        return context

    async def story(client: AsyncClient, cluster: FakeCluster, _: Listening) -> None:
        with pytest.raises(DidNotHappen):
            await client.put("a", "b", timeout_ms=500)
        assert cluster.calls == []

    meet(tmp_path, names=("n1",), certificates=blind, story=story)


def test_a_client_posing_as_a_node_is_not_believed(tmp_path: Path) -> None:
    authority = new_authority(tmp_path / "authority")
    context = bare_context(ssl.PROTOCOL_TLS_SERVER)
    paths = issue(authority, "mallory", Kind.CLIENT)
    context.load_cert_chain(paths.bundle, password="")
    context.verify_mode = ssl.CERT_NONE

    async def run() -> None:
        fake = FakeCluster(nodes=1)
        async with asyncio.timeout(LIMIT_S), Listening(fake, contexts=[context]) as listening:
            bundle = issue(authority, "alice", Kind.CLIENT).bundle
            async with AsyncClient(endpoints=listening.endpoints, certificates=bundle) as client:
                with pytest.raises(Refused):
                    await client.put("a", "b")

    asyncio.run(run())


@pytest.mark.parametrize("text", ["", "no certificate", "-----BEGIN CERTIFICATE-----\n"])
def test_a_file_that_is_no_bundle_is_refused_at_once(tmp_path: Path, text: str) -> None:
    path = tmp_path / "alice.pem"
    path.write_text(text)
    with pytest.raises(CertificateError, match=r"alice\.pem"):
        AsyncClient(endpoints=["127.0.0.1:1"], certificates=path)


def test_a_missing_bundle_is_named() -> None:
    with pytest.raises(CertificateError, match=r"nowhere\.pem"):
        AsyncClient(endpoints=["127.0.0.1:1"], certificates="nowhere.pem")


def test_a_bundle_that_is_replaced_on_disk_is_used_for_the_next_connection(tmp_path: Path) -> None:
    authority, other = new_authority(tmp_path / "authority"), new_authority(tmp_path / "other")
    bundle = tmp_path / "alice.pem"
    bundle.write_bytes(issue(other, "alice", Kind.CLIENT).bundle.read_bytes())
    contexts = [server_context(issue(authority, "n1"))]

    async def run() -> None:
        fake = FakeCluster(nodes=1)
        async with (
            asyncio.timeout(LIMIT_S),
            Listening(fake, contexts=contexts) as listening,
            AsyncClient(endpoints=listening.endpoints, certificates=bundle) as client,
        ):
            with pytest.raises(Refused, match="certificate"):
                await client.put("a", "b")
            renewed = tmp_path / "renewed.pem"
            renewed.write_bytes(issue(authority, "alice", Kind.CLIENT).bundle.read_bytes())
            renewed.replace(bundle)
            await client.put("a", "b")
        assert len(fake.applied) == 1

    asyncio.run(run())
