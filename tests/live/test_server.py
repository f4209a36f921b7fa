"""The loop around a node, with a node that does what the test says."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvloop

from libelli.core.errors import InvariantError, StorageError
from libelli.core.ids import ClusterId, GroupId, NodeId
from libelli.host.identity import Identity
from libelli.host.node import Node
from libelli.host.world import FlushCheckpoint, ReadLog, Stop, Trace, WakeAt, WorldEffect, WriteLog
from libelli.live import server as server_module
from libelli.live.flusher import ChunkInstalled, Flushed, Installed, InstallFailed
from libelli.live.server import EXIT_DEFECT, EXIT_STORAGE, Server
from libelli.live.storage import Storage
from libelli.live.writer import Back, Broken, Written

GROUP = GroupId(1)
FAR_MS = 10**15
DEADLINE_S = 20


class FakeNode:
    """Answers each step with the next list of effects, then with nothing to do."""

    def __init__(self) -> None:
        self.identity = Identity(ClusterId("c" * 32), NodeId(1), "n1")
        self.script: list[Any] = []
        self.told: list[tuple[Any, ...]] = []
        self.steps: list[int] = []
        self.alarms: dict[str, str | None] = {}

    def step(self, now_ms: int) -> list[WorldEffect]:
        self.steps.append(now_ms)
        effects: Any = self.script.pop(0) if self.script else [WakeAt(FAR_MS)]
        if isinstance(effects, Exception):
            raise effects
        return cast("list[WorldEffect]", effects)

    def alarm(self, name: str, text: str | None) -> None:
        self.alarms[name] = text

    def status(self) -> Any:
        return SimpleNamespace(groups=())

    def stopping(self) -> None:
        self.told.append(("stopping",))

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: self.told.append((name, *arguments))


class FakeStorage:
    """Writes down its work; `deliver` is what the threads call."""

    def __init__(self) -> None:
        self.work: list[Any] = []
        self.missing_room = ""
        self.founding_hash = ""
        self.promises = 0
        self.stopped = 0
        self.deliver: Callable[[Sequence[Any]], object]

    def start(self, *, random: Random, deliver: Callable[[Sequence[Any]], object]) -> None:
        self.deliver = deliver

    def submit_log(self, work: Any) -> None:
        self.work.append(work)

    submit_flush = submit_log

    def note_promise(self) -> None:
        self.promises += 1

    def stop(self) -> None:
        self.stopped += 1


Scene = Callable[[Server, FakeNode, FakeStorage], Awaitable[None]]


def run(scene: Scene, *script: Any) -> None:
    async def main() -> None:
        node, storage = FakeNode(), FakeStorage()
        node.script = list(script)
        server = Server(cast("Node", node), storage=cast("Storage", storage), certificates=None, random=Random(1))
        server.start()
        try:
            async with asyncio.timeout(DEADLINE_S):
                await scene(server, node, storage)
        finally:
            server.close("the test is over")
            assert storage.stopped == 1

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 - a thread or a timer makes it true
        await asyncio.sleep(0.001)


def test_whatever_came_in_one_turn_is_one_step() -> None:
    async def scene(server: Server, node: FakeNode, storage: FakeStorage) -> None:
        await until(lambda: len(node.steps) == 1)
        for _ in range(5):
            server.wake()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(node.steps) == 2

    run(scene)


def test_a_client_that_comes_before_the_threads_are_there_waits_for_them() -> None:
    async def main() -> None:
        node, storage = FakeNode(), FakeStorage()
        server = Server(cast("Node", node), storage=cast("Storage", storage), certificates=None, random=Random(1))
        server.wake()
        await asyncio.sleep(0)
        assert node.steps == []
        server.start()
        await until(lambda: node.steps)
        server.close("the test is over")

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def test_effects_are_carried_out_in_their_order() -> None:
    effects = [WriteLog(1, ()), FlushCheckpoint(GROUP, ()), ReadLog(GROUP, 1, 2, 3), WakeAt(FAR_MS)]  # type: ignore[arg-type]

    async def scene(server: Server, node: FakeNode, storage: FakeStorage) -> None:
        await until(lambda: storage.work)
        assert storage.work == effects[:3]

    run(scene, effects)


def test_a_wake_that_is_due_is_a_step_at_once_and_a_later_one_waits_for_its_time() -> None:
    async def scene(server: Server, node: FakeNode, storage: FakeStorage) -> None:
        await until(lambda: len(node.steps) == 3)
        began = server.now_ms()
        node.script.append([WakeAt(began + 30)])
        server.wake()
        await until(lambda: len(node.steps) == 5)
        assert node.steps[-1] >= began + 30

    run(scene, [WakeAt(0)], [], [WakeAt(FAR_MS)])


def test_an_earlier_wake_takes_the_place_of_a_later_one() -> None:
    async def scene(server: Server, node: FakeNode, storage: FakeStorage) -> None:
        await until(lambda: len(node.steps) == 1)
        node.script += [[WakeAt(server.now_ms() + 10)]]
        server.wake()
        await until(lambda: len(node.steps) == 3)

    run(scene, [WakeAt(FAR_MS)])


def test_what_the_threads_did_is_told_to_the_node_and_a_write_is_noted_before() -> None:
    batch = [Written(7), Back(GROUP, 1, ()), Flushed(GROUP), ChunkInstalled(GROUP), Installed(GROUP)]  # type: ignore[arg-type]

    async def scene(server: Server, node: FakeNode, storage: FakeStorage) -> None:
        await until(lambda: node.steps)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, storage.deliver, [*batch, InstallFailed(GROUP, "no room")])
        await until(lambda: len(node.steps) == 2)
        assert [told[0] for told in node.told] == [
            "written", "loaded", "flushed", "chunk_installed", "installed", "install_failed",
        ]  # fmt: skip
        assert storage.promises == 1

    run(scene)


@pytest.mark.parametrize(
    ("effects", "code", "reason"),
    [
        ([Stop("the disk is not to be trusted")], EXIT_STORAGE, "the disk is not to be trusted"),
        (InvariantError("two leaders"), EXIT_DEFECT, "an invariant is broken: two leaders; keep the data folder"),
        (ZeroDivisionError("by zero"), EXIT_DEFECT, "ZeroDivisionError: by zero; report this"),
        (StorageError("unreadable"), EXIT_STORAGE, "unreadable"),
    ],
)
def test_a_node_that_cannot_go_on_ends_the_process_and_is_not_stepped_again(
    effects: Any, code: int, reason: str
) -> None:
    async def scene(server: Server, node: FakeNode, storage: FakeStorage) -> None:
        ending = await server.ended
        assert ending.code == code
        assert reason in ending.reason
        server.wake()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(node.steps) == 1

    run(scene, effects)


def test_a_broken_thread_ends_the_process() -> None:
    async def scene(server: Server, node: FakeNode, storage: FakeStorage) -> None:
        storage.deliver([Broken(StorageError("sync failed"))])
        assert (await server.ended).code == EXIT_STORAGE

    run(scene)


def test_what_a_thread_brings_and_nobody_can_take_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise OSError("not translated")

    async def scene(server: Server, node: FakeNode, storage: FakeStorage) -> None:
        monkeypatch.setattr(storage, "note_promise", broken)
        storage.deliver([Written(7)])
        ending = await server.ended
        assert ending.code == EXIT_DEFECT
        assert "OSError: not translated" in ending.reason

    run(scene)


def test_a_full_disk_is_an_alarm_for_as_long_as_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "HOUSEKEEPING_S", 0.001)

    async def scene(server: Server, node: FakeNode, storage: FakeStorage) -> None:
        storage.missing_room = "no room"
        await until(lambda: node.alarms["disk"] == "no room")
        storage.missing_room = ""
        await until(lambda: node.alarms["disk"] is None)

    run(scene)


def test_each_other_leader_is_counted_once(caplog: pytest.LogCaptureFixture) -> None:
    def seen(leader: int) -> list[WorldEffect]:
        return [Trace("raft", GROUP, {"role": "follower", "leader": leader}), WakeAt(0)]

    async def scene(server: Server, node: FakeNode, storage: FakeStorage) -> None:
        await until(lambda: len(node.steps) >= 6)
        assert server.leader_changes == 3

    run(scene, seen(2), seen(0), seen(2), seen(3), seen(2), [WakeAt(FAR_MS)])


def test_a_node_that_leads_nothing_has_handed_over() -> None:
    async def scene(server: Server, node: FakeNode, storage: FakeStorage) -> None:
        server.stop()
        await server.handed_over
        assert ("stopping",) in node.told

    run(scene)
