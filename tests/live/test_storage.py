"""A node's folder as a whole: who may use it, and until when."""

import threading
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from libelli.core.entries import HardState
from libelli.core.errors import StorageError
from libelli.core.ids import ClusterId, GroupId, NodeId, Term
from libelli.core.members import Member
from libelli.host.identity import Identity
from libelli.host.world import WriteLog
from libelli.live import writer as writer_module
from libelli.live.folder import Beginning
from libelli.live.storage import Storage

IDENTITY = Identity(ClusterId("c" * 32), NodeId(1), "n1")
MEMBERS = (Member(NodeId(1), "n1", peer_address="127.0.0.1:1", client_address="127.0.0.1:2"),)


def opened(path: Path, beginning: Beginning = Beginning.REFUSED) -> Storage:
    return Storage(path, identity=IDENTITY, beginning=beginning, members=MEMBERS)


def write(storage: Storage, done: threading.Event) -> None:
    """Starts the threads and queues a write; `done` when it is durable."""

    def deliver(_: Sequence[object]) -> None:
        done.set()

    storage.start(random=Random(1), deliver=deliver)
    storage.submit_log(WriteLog(1, ((GroupId(1), HardState(Term(3), NodeId(1))),)))


def test_a_folder_that_was_stopped_can_be_opened_again(tmp_path: Path) -> None:
    storage, done = opened(tmp_path, Beginning.FOUND), threading.Event()
    write(storage, done)
    assert done.wait(20)
    storage.stop()
    again = opened(tmp_path)
    assert again.log.groups[GroupId(1)].hard_state.term == 3
    again.stop()


def test_while_the_disk_hangs_the_folder_is_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "STOP_TIMEOUT_S", 0.05)
    storage, done, disk_answers = opened(tmp_path, Beginning.FOUND), threading.Event(), threading.Event()
    sync = storage._disk.sync

    def hang(name: str) -> None:
        disk_answers.wait(20)
        sync(name)

    monkeypatch.setattr(storage._disk, "sync", hang)
    write(storage, done)
    storage.stop()
    with pytest.raises(StorageError, match="in use"):
        opened(tmp_path)
    disk_answers.set()
    assert done.wait(20)  # the files were still open
