"""The client for threads: the same calls, from many threads at once."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from libelli.client import Client, prefix_range
from libelli.core.calls import Write
from libelli.core.errors import CallError, MayHaveHappened, Refused, Unavailable
from libelli.stores.mvcc.commands import Put, PutDone, Range, RangeDone
from tests.client.cluster import Deafness, FakeCluster
from tests.client.server import Listening, writes

LIMIT_S = 60


@dataclass
class Stage:
    """A fake cluster that listens in a thread of its own."""

    cluster: FakeCluster
    listening: Listening
    loop: asyncio.AbstractEventLoop

    def cut(self) -> None:
        self.loop.call_soon_threadsafe(self.listening.cut)


@pytest.fixture
def stage() -> Iterator[Stage]:
    ready, over = threading.Event(), asyncio.Event()
    found: list[Stage] = []

    async def serve() -> None:
        async with Listening(FakeCluster()) as listening:
            found.append(Stage(listening.cluster, listening, asyncio.get_running_loop()))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(LIMIT_S)
    yield found[0]
    found[0].loop.call_soon_threadsafe(over.set)
    thread.join(LIMIT_S)


@pytest.fixture
def client(stage: Stage) -> Iterator[Client]:
    with Client(endpoints=stage.listening.endpoints, certificates=None) as client:
        yield client


def test_put_get_range_and_leases(client: Client) -> None:
    assert client.put("a", "1") == PutDone(2)
    item = client.get("a")
    assert item is not None
    assert item.value == b"1"
    assert [item.key for item in client.range(*prefix_range(""), page_keys=1)] == [b"a"]
    assert client.grant_lease(30).ttl_s == 30
    assert client.keep_alive(7) == 60
    assert [member.name for member in client.members()] == ["n1", "n2", "n3"]
    assert len(client.statuses()) == 3
    assert isinstance(client.execute(Range(b"a"), serializable=False), RangeDone)
    with pytest.raises(Refused, match="beyond"):
        client.compact(4)


def test_many_threads_write_at_once_each_in_its_order(client: Client, stage: Stage) -> None:
    def work(thread: int) -> None:
        for number in range(50):
            client.put(b"%d-%02d" % (thread, number), b"v")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    keys = [each.key for each in stage.cluster.applied if isinstance(each, Put)]
    assert sorted(keys) == [b"%d-%02d" % (thread, number) for thread in range(8) for number in range(50)]
    for thread in range(8):
        own = [key for key in keys if key.startswith(b"%d-" % thread)]
        assert own == sorted(own)


def test_a_pipeline_writes_much_in_few_frames(client: Client, stage: Stage) -> None:
    with client.pipeline(in_flight=512) as pipeline:
        for number in range(5_000):
            pipeline.put(b"k%04d" % number, b"v")
    assert [each.key for each in stage.cluster.applied] == [b"k%04d" % number for number in range(5_000)]
    assert writes(stage.cluster) < 2_500


def test_many_commands_go_in_one_call(client: Client, stage: Stage) -> None:
    outcomes = client.execute_many([Put(b"k%d" % number, b"v") for number in range(1_000)])
    assert all(isinstance(outcome, PutDone) for outcome in outcomes)
    assert len(stage.cluster.applied) == 1_000


def test_a_pipeline_raises_the_first_error(client: Client) -> None:
    with pytest.raises(Refused, match="beyond"), client.pipeline() as pipeline:
        pipeline.delete("a")


def test_an_error_of_the_block_is_not_hidden_by_the_pipeline(client: Client) -> None:
    def write_and_fail() -> None:
        with client.pipeline() as pipeline:
            pipeline.put("a", "b")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()


def test_a_watch_is_read_by_one_thread_while_another_writes(client: Client, stage: Stage) -> None:
    with client.watch(*prefix_range("")) as watch:
        with ThreadPoolExecutor(1) as pool:
            found = pool.submit(lambda: [event.item.key for _, event in zip(range(40), watch, strict=False)])
            for number in range(40):
                client.put(f"k{number}", b"v")
                if number == 20:
                    stage.cut()
            assert found.result(LIMIT_S) == [b"k%d" % number for number in range(40)]
        assert watch.batch(timeout_ms=0) == []


def test_closing_a_watch_ends_the_iteration_of_another_thread(client: Client) -> None:
    with client.watch(*prefix_range("")) as watch, ThreadPoolExecutor(1) as pool:
        rest = pool.submit(lambda: list(watch))
        watch.close()
        assert rest.result(LIMIT_S) == []


def test_closing_the_client_ends_the_calls_of_other_threads(stage: Stage) -> None:
    with Client(endpoints=stage.listening.endpoints, certificates=None) as client:
        client.put("a", "b")
        stage.cluster.mood = lambda _, call: Deafness() if isinstance(call, Write) else None
        waiting = client.submit(Put(b"c", b"d"))
        while not any(isinstance(call, Write) and b"c" in call.commands for _, call in list(stage.cluster.calls)):
            assert not waiting.done()
    with pytest.raises(MayHaveHappened):
        waiting.result(LIMIT_S)
    with pytest.raises(Unavailable, match="not open"):
        client.put("a", "b")


def test_a_refused_command_does_not_stop_the_client(client: Client) -> None:
    with pytest.raises(Refused, match="empty"):
        client.put(b"", b"x")
    assert isinstance(client.put("a", "b"), PutDone)


def test_a_client_that_is_closed_while_many_threads_write_leaves_nobody_waiting(stage: Stage) -> None:
    client = Client(endpoints=stage.listening.endpoints, certificates=None)
    client.open()
    client.put("a", "b")
    started = threading.Barrier(5)

    def work() -> str:
        started.wait(LIMIT_S)
        while True:
            try:
                client.submit(Put(b"k", b"v")).result(LIMIT_S)
            except CallError as error:
                return type(error).__name__

    with ThreadPoolExecutor(4) as pool:
        endings = [pool.submit(work) for _ in range(4)]
        started.wait(LIMIT_S)
        client.close()
        assert {ending.result(LIMIT_S) for ending in endings} <= {"Unavailable", "MayHaveHappened"}


def test_a_watch_outlives_its_client_without_a_complaint(stage: Stage) -> None:
    with Client(endpoints=stage.listening.endpoints, certificates=None) as client:
        watch = client.watch("a")
        watch.__enter__()
    watch.close()
    with pytest.raises(Unavailable, match="not open"):
        watch.batch()
