"""The gRPC door on loopback, in front of a real node: every call, how each ends, and who may come in."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from grpc import aio

from libelli.api.grpc import libelli_pb2 as pb
from libelli.api.grpc import serve_grpc
from libelli.api.grpc.failures import CODE, COMPACT_REVISION, OUTCOME, STATUSES
from libelli.api.grpc.libelli_pb2_grpc import ClusterStub, StrongStub
from libelli.core.errors import Code, ConfigurationError
from libelli.core.limits import FRAME_COMMANDS_MAX, VALUE_SIZE_MAX
from libelli.live.certificates import CertificatePaths, CertificateWatch, Kind, load_bundle
from tests.client.alone import CLUSTER, Alone
from tests.live.certificates.handshakes import issue, new_authority

LIMIT_S = 60
OPTIONS = (("grpc.max_receive_message_length", 16 << 20), ("grpc.use_local_subchannel_pool", 1))


@dataclass
class Caller:
    """What a story has in hand."""

    strong: Any
    cluster: Any
    alone: Alone

    async def put(self, key: str, value: str = "v", **more: Any) -> pb.PutDone:
        put = pb.Put(key=key.encode(), value=value.encode(), **more)
        done: pb.PutDone = await self.strong.Put(pb.PutRequest(put=put))
        return done


Story = Callable[[Caller], Awaitable[None]]


def play(story: Story) -> None:
    """Runs a story in plain text."""

    async def run() -> None:
        async with asyncio.timeout(LIMIT_S), Alone() as alone:
            door = await serve_grpc("127.0.0.1:0", endpoints=[alone.endpoint], certificates=None, cluster=CLUSTER)
            async with aio.insecure_channel(f"127.0.0.1:{door.port}", options=OPTIONS) as channel:
                await story(Caller(StrongStub(channel), ClusterStub(channel), alone))
            await door.close(grace_s=0)

    asyncio.run(run())


async def failure_of(call: Awaitable[Any]) -> tuple[grpc.StatusCode, dict[str, str], str]:
    """Returns status, trailers and details of a call that fails."""
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    error = caught.value
    return error.code(), {str(key): str(value) for key, value in error.trailing_metadata()}, str(error.details())


def test_put_range_and_delete() -> None:
    async def story(caller: Caller) -> None:
        await caller.put("a", "1")
        second = await caller.put("a", "2", previous=True)
        assert second.previous.value == b"1"
        found = await caller.strong.Range(pb.RangeRequest(range=pb.Range(key=b"a")))
        assert (found.count, found.items[0].value, found.items[0].version) == (1, b"2", 2)
        read = pb.Range(key=b"a", order=pb.Range.ORDER_DESCEND, target=pb.Range.TARGET_MOD)
        assert (await caller.strong.Range(pb.RangeRequest(range=read, serializable=True))).count == 1
        gone = await caller.strong.Delete(pb.DeleteRequest(delete=pb.Delete(key=b"a", previous=True)))
        assert (gone.deleted, gone.previous[0].value) == (1, b"2")

    play(story)


def test_a_transaction_with_every_kind_of_operation() -> None:
    async def story(caller: Caller) -> None:
        await caller.put("a", "1")
        inner = pb.Transaction(success=[pb.Operation(range=pb.Range(key=b"a"))])
        transaction = pb.Transaction(
            compares=[pb.Compare(key=b"a", target=pb.Compare.VALUE, result=pb.Compare.EQUAL, value=b"1")],
            success=[
                pb.Operation(put=pb.Put(key=b"b", value=b"2")),
                pb.Operation(transaction=inner),
                pb.Operation(delete=pb.Delete(key=b"c")),
            ],
            failure=[pb.Operation(range=pb.Range(key=b"a"))],
        )
        done = await caller.strong.Transact(pb.TransactRequest(transaction=transaction))
        assert done.succeeded
        assert [answer.WhichOneof("answer") for answer in done.answers] == ["put", "transaction", "delete"]
        assert done.answers[1].transaction.answers[0].range.items[0].key == b"a"

    play(story)


def test_a_stream_of_batches_is_answered_in_order_each_command_with_its_own_outcome() -> None:
    def batches() -> list[pb.Batch]:
        found = []
        for number in range(1, 101):
            put = pb.Command(put=pb.Put(key=b"k%d" % number, value=b"v"))
            read = pb.Command(range=pb.Range(key=b"k%d" % number))
            wrong = pb.Command(put=pb.Put(key=b"", value=b"v"))
            found.append(pb.Batch(number=number, commands=[put, wrong, read, pb.Command()]))
        return found

    async def story(caller: Caller) -> None:
        answered = [done async for done in caller.strong.Exchange(iter(batches()))]
        assert [done.number for done in answered] == list(range(1, 101))
        for done in answered:
            kinds = [answer.WhichOneof("answer") for answer in done.answers]
            assert kinds == ["put", "failed", "range", "failed"]
            assert done.answers[1].failed.code == "INVALID"
            assert not done.answers[1].failed.may_have_happened
        revisions = [done.answers[0].put.revision for done in answered]
        assert revisions == sorted(revisions)

    play(story)


def test_a_batch_over_the_limit_ends_the_stream_and_says_so() -> None:
    async def story(caller: Caller) -> None:
        large = pb.Batch(commands=[pb.Command(compact=pb.Compact(revision=1))] * (FRAME_COMMANDS_MAX + 1))
        stream = caller.strong.Exchange(iter([large]))
        status, trailers, details = await failure_of(anext(aiter(stream)))
        assert status is grpc.StatusCode.INVALID_ARGUMENT
        assert trailers[CODE] == "TOO_MANY_OPERATIONS"
        assert f"{FRAME_COMMANDS_MAX + 1}" in details

    play(story)


def test_a_caller_that_leaves_its_stream_leaves_nothing_behind() -> None:
    async def endless() -> AsyncIterator[pb.Batch]:
        number = 0
        while True:
            number += 1
            yield pb.Batch(number=number, commands=[pb.Command(put=pb.Put(key=b"k", value=b"v"))])

    async def story(caller: Caller) -> None:
        before = len(asyncio.all_tasks())
        for _ in range(3):
            stream = caller.strong.Exchange(endless())
            assert (await anext(aiter(stream))).number == 1
            stream.cancel()
        await caller.put("still", "here")
        while len(asyncio.all_tasks()) > before:  # noqa: ASYNC110 - they end by themselves
            await asyncio.sleep(0)

    play(story)


def test_a_watch_says_that_it_is_open_and_tells_every_change() -> None:
    async def story(caller: Caller) -> None:
        stream = aiter(caller.strong.Watch(pb.WatchRequest(key=b"a", end=b"b", previous=True)))
        assert list((await anext(stream)).events) == []
        await caller.put("a1", "x")
        caller.alone.cut()
        await caller.put("a1", "y")
        await caller.put("b1", "z")
        await caller.put("a2", "w")
        events: list[pb.WatchEvent] = []
        while len(events) < 3:
            progress = await anext(stream)
            events += progress.events
            assert progress.revision >= events[-1].item.mod_revision
        assert [(event.item.key, event.item.value) for event in events] == [(b"a1", b"x"), (b"a1", b"y"), (b"a2", b"w")]
        assert events[1].previous.value == b"x"

    play(story)


def test_a_watch_of_compacted_history_says_where_it_begins() -> None:
    async def story(caller: Caller) -> None:
        for _ in range(3):
            last = await caller.put("a")
        await caller.strong.Compact(pb.CompactRequest(compact=pb.Compact(revision=last.revision)))
        stream = aiter(caller.strong.Watch(pb.WatchRequest(key=b"a", start_revision=1)))
        status, trailers, _ = await failure_of(anext(stream))
        assert status is grpc.StatusCode.OUT_OF_RANGE
        assert trailers == {
            OUTCOME: "did-not-happen",
            CODE: "COMPACTED",
            COMPACT_REVISION: str(last.revision),
        }

    play(story)


def test_leases_are_granted_kept_read_and_revoked() -> None:
    async def story(caller: Caller) -> None:
        granted = await caller.strong.GrantLease(pb.GrantLeaseRequest(grant=pb.LeaseGrant(ttl_s=60)))
        await caller.put("a", lease=granted.lease)
        wanted = [pb.KeepAliveRequest(lease=granted.lease), pb.KeepAliveRequest(lease=99_999)]
        kept = [(answer.lease, answer.ttl_s) async for answer in caller.strong.KeepAlive(iter(wanted))]
        assert kept == [(granted.lease, 60), (99_999, 0)]
        read = pb.ReadLeasesRequest(read=pb.LeaseRead(lease=granted.lease, keys=True))
        (state,) = (await caller.strong.ReadLeases(read)).leases
        assert list(state.keys) == [b"a"]
        await caller.strong.RevokeLease(pb.RevokeLeaseRequest(revoke=pb.LeaseRevoke(lease=granted.lease)))
        assert (await caller.strong.Range(pb.RangeRequest(range=pb.Range(key=b"a")))).count == 0

    play(story)


def test_the_cluster_tells_its_state_changes_its_members_and_is_copied() -> None:
    async def story(caller: Caller) -> None:
        await caller.put("a")
        status = await caller.cluster.Status(pb.StatusRequest())
        assert status.cluster == CLUSTER
        (node,) = status.nodes
        assert (node.member.name, node.groups[0].role) == ("n1", "leader")
        parts = [part.data async for part in caller.cluster.SaveSnapshot(pb.SnapshotRequest())]
        assert len(b"".join(parts)) > 0
        member = pb.Member(name="n2", peer_address="127.0.0.1:2")
        assert (await caller.cluster.AddMember(pb.AddMemberRequest(member=member))).node == 2
        code, trailers, _ = await failure_of(caller.cluster.RemoveMember(pb.MemberRequest(name="n1")))
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert trailers[CODE] == "UNSAFE_CHANGE"
        code, trailers, _ = await failure_of(caller.cluster.PromoteMember(pb.MemberRequest()))
        assert (code, trailers[CODE]) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID")

    play(story)


def test_a_refusal_says_that_it_did_not_happen() -> None:
    async def story(caller: Caller) -> None:
        large = pb.PutRequest(put=pb.Put(key=b"a", value=b"x" * (VALUE_SIZE_MAX + 1)))
        code, trailers, details = await failure_of(caller.strong.Put(large))
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert trailers == {OUTCOME: "did-not-happen", CODE: "TOO_LARGE"}
        assert f"{VALUE_SIZE_MAX:,}" in details
        other = pb.RangeRequest(collection="nowhere", range=pb.Range(key=b"a"))
        code, trailers, _ = await failure_of(caller.strong.Range(other))
        assert (code, trailers[CODE]) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_COLLECTION")
        unknown = pb.RangeRequest(range=pb.Range(key=b"a", order=9))  # type: ignore[arg-type]
        code, _, _ = await failure_of(caller.strong.Range(unknown))
        assert code is grpc.StatusCode.INVALID_ARGUMENT

    play(story)


def test_a_call_that_finds_no_node_in_time_did_not_happen() -> None:
    async def run() -> None:
        async with asyncio.timeout(LIMIT_S):
            door = await serve_grpc("127.0.0.1:0", endpoints=["127.0.0.1:1"], certificates=None)
            async with aio.insecure_channel(f"127.0.0.1:{door.port}", options=OPTIONS) as channel:
                call = StrongStub(channel).Put(pb.PutRequest(put=pb.Put(key=b"a", value=b"b")), timeout=0.5)
                code, trailers, _ = await failure_of(call)
                assert code is grpc.StatusCode.UNAVAILABLE
                assert trailers[OUTCOME] == "did-not-happen"
            await door.close(grace_s=0)

    asyncio.run(run())


def test_every_code_has_a_status_and_only_what_did_not_happen_is_unavailable() -> None:
    assert set(STATUSES) == set(Code) - {Code.OK}
    unavailable = {code for code, status in STATUSES.items() if status is grpc.StatusCode.UNAVAILABLE}
    assert max(unavailable) < Code.TIMED_OUT


# -- who may come in ------------------------------------------------------------------------------------------


def credentials(paths: CertificatePaths) -> grpc.ChannelCredentials:
    key, chain, roots = load_bundle(paths.bundle).pem_triple
    return grpc.ssl_channel_credentials(roots, key, chain)


def guarded(tmp_path: Path, story: Callable[[str, CertificateWatch, Any], Awaitable[None]]) -> None:
    """Runs a story with a door behind mutual TLS, its certificates and its authority."""
    authority = new_authority(tmp_path / "authority")
    watch = CertificateWatch(issue(authority, "n1"))

    async def run() -> None:
        async with asyncio.timeout(LIMIT_S), Alone(context=watch.server_context) as alone:
            door = await serve_grpc("127.0.0.1:0", endpoints=[alone.endpoint], certificates=watch)
            await story(f"127.0.0.1:{door.port}", watch, authority)
            await door.close(grace_s=0)

    asyncio.run(run())


async def put_through(address: str, shown: grpc.ChannelCredentials) -> pb.PutDone:
    async with aio.secure_channel(address, shown, options=OPTIONS) as channel:
        request = pb.PutRequest(put=pb.Put(key=b"a", value=b"b"))
        done: pb.PutDone = await StrongStub(channel).Put(request, timeout=10)
        return done


def test_a_client_with_a_certificate_of_the_authority_comes_in(tmp_path: Path) -> None:
    async def story(address: str, _: CertificateWatch, authority: Any) -> None:
        assert (await put_through(address, credentials(issue(authority, "alice", Kind.CLIENT)))).revision > 0

    guarded(tmp_path, story)


def test_a_client_of_another_authority_and_one_without_certificate_stay_outside(tmp_path: Path) -> None:
    other = new_authority(tmp_path / "other")

    async def story(address: str, watch: CertificateWatch, _: Any) -> None:
        foreign = load_bundle(issue(other, "alice", Kind.CLIENT).bundle).pem_triple
        roots = watch.pem_triple.root_certificates
        for shown in (
            grpc.ssl_channel_credentials(roots, foreign.private_key, foreign.certificate_chain),
            grpc.ssl_channel_credentials(roots),
        ):
            code, _, _ = await failure_of(put_through(address, shown))
            assert code is grpc.StatusCode.UNAVAILABLE

    guarded(tmp_path, story)


def test_a_revoked_client_is_turned_away(tmp_path: Path) -> None:
    async def story(address: str, watch: CertificateWatch, authority: Any) -> None:
        shown = credentials(issue(authority, "mallory", Kind.CLIENT))
        await put_through(address, shown)
        authority.revoke("mallory")
        assert watch.reload_if_changed()
        code, trailers, details = await failure_of(put_through(address, shown))
        assert code is grpc.StatusCode.UNAUTHENTICATED
        assert trailers == {OUTCOME: "did-not-happen", CODE: "DENIED"}
        assert "revoked" in details

    guarded(tmp_path, story)


def test_plain_text_is_for_this_machine_only_and_a_taken_port_is_an_error() -> None:
    async def run() -> None:
        with pytest.raises(ConfigurationError, match="plain text"):
            await serve_grpc("10.0.0.1:7", endpoints=["127.0.0.1:1"], certificates=None)
        door = await serve_grpc("127.0.0.1:0", endpoints=["127.0.0.1:1"], certificates=None)
        with pytest.raises(ConfigurationError, match="cannot listen"):
            await serve_grpc(f"127.0.0.1:{door.port}", endpoints=["127.0.0.1:1"], certificates=None)
        await door.close(grace_s=0)

    asyncio.run(run())


def test_a_renewed_certificate_is_shown_to_the_next_caller(tmp_path: Path) -> None:
    async def serial_shown(address: str, watch: CertificateWatch) -> int:
        context = ssl.create_default_context(cadata=watch.pem_triple.root_certificates.decode())
        context.check_hostname = False
        context.set_alpn_protocols(["h2"])
        host, port = address.split(":")
        _, writer = await asyncio.open_connection(host, int(port), ssl=context)
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        return x509.load_der_x509_certificate(shown).serial_number

    async def story(address: str, watch: CertificateWatch, authority: Any) -> None:
        before = await serial_shown(address, watch)
        assert before == watch.identity.serial
        authority.renew("n1")
        assert watch.reload_if_changed()
        after = await serial_shown(address, watch)
        assert after == watch.identity.serial != before

    guarded(tmp_path, story)
