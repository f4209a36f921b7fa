"""`up` before it starts anything, and when the cluster's file changes under it."""

import shutil
from pathlib import Path

import pytest

from libelli.cli.exits import ExitCode
from libelli.core.errors import ConfigurationError
from libelli.live.founding import Wish, ensure_cluster
from libelli.live.lock import DirectoryLock, lock_holder
from libelli.live.replica_files import configuration_path, data_path, log_path
from libelli.live.up import Replicas
from tests.cli.commands import Shell
from tests.cli.machine import Terminal, free_port
from tests.live.cluster import wait_until

PLAIN = Wish(is_plain=True, port=17_400)
NAMES = ("n1", "n2", "n3")


def holders(folder: Path) -> list[int | None]:
    return [lock_holder(folder / name / "data") for name in NAMES]


@pytest.mark.parametrize("part", ["n3", "n3/libelli.toml", "n3/data"])
def test_up_starts_nothing_when_a_members_files_are_gone(shell: Shell, tmp_path: Path, part: str) -> None:
    ensure_cluster(tmp_path, PLAIN)
    path = tmp_path / part
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    ran = shell("up", "--data", str(tmp_path))
    assert ran.code == ExitCode.CONFIGURATION
    assert f"gone: {path} of n3; nothing was started: put it back from a copy" in ran.err
    assert "member remove n3" in ran.err
    assert not (tmp_path / "n1" / "libelli.log").exists()


def test_up_names_recovery_when_a_majority_is_gone(shell: Shell, tmp_path: Path) -> None:
    ensure_cluster(tmp_path, PLAIN)
    for name in ("n1", "n3"):
        shutil.rmtree(tmp_path / name)
    ran = shell("up", "--data", str(tmp_path))
    assert ran.code == ExitCode.CONFIGURATION
    assert f"recover {tmp_path / 'n2' / 'data'} --data recovered" in ran.err
    shutil.rmtree(tmp_path / "n2")
    assert "snapshot restore" in shell("up", "--data", str(tmp_path)).err


def test_up_starts_nothing_when_a_configuration_cannot_be_used(shell: Shell, tmp_path: Path) -> None:
    _, content, _ = ensure_cluster(tmp_path, PLAIN)
    configuration_path(tmp_path, content.members[2]).write_text("quota = 1")
    assert shell("up", "--data", str(tmp_path)).code == ExitCode.CONFIGURATION
    assert not (tmp_path / "n1" / "libelli.log").exists()


def test_replicas_of_a_start_that_failed_half_way_are_stopped(tmp_path: Path) -> None:
    _, content, _ = ensure_cluster(tmp_path, Wish(is_plain=True, port=free_port()))
    log_path(tmp_path, content.members[2]).mkdir()
    replicas = Replicas(tmp_path, content)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        replicas.start()
    assert [replica.child for replica in replicas._replicas] == [None] * 3
    assert holders(tmp_path) == [None] * 3


def test_added_members_are_looked_at_and_removed_ones_forgotten(tmp_path: Path) -> None:
    _, content, _ = ensure_cluster(tmp_path, PLAIN)
    small = content.without_member("n3")
    replicas = Replicas(tmp_path, small)
    added, removed = replicas.follow(content)
    assert ([place.name for place in added], removed) == (["n3"], [])

    lock = DirectoryLock(data_path(tmp_path, content.members[2]))
    assert [change.place.name for change in replicas.look()] == ["n3"]
    _, removed = replicas.follow(small)
    assert [(change.place.name, change.process is not None) for change in removed] == [("n3", True)]
    lock.release()
    assert replicas.look() == []
    assert replicas.follow(small) == ([], [])


def test_up_stops_a_member_that_was_added_while_it_ran(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    up = terminal.up("--replicas", "1", "--port", str(free_port()))
    try:
        added = terminal.json("member", "add", "n2")
        up.wait_for("n2 was added")
        started = terminal.start_line(added["start"], output="n2.txt")
        up.wait_for("n2 runs (process")
    finally:
        assert up.stop() == ExitCode.OK
    wait_until(lambda: started.process.poll() is not None, "the added member to be stopped")
    assert lock_holder(tmp_path / ".libelli" / "n2" / "data") is None
