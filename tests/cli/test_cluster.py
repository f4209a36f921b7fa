"""The command and a real cluster: replicas in processes, disks, TLS.

These tests start processes and take seconds; each waits for conditions, never for a time.
"""

import contextlib
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from libelli.cli.exits import ExitCode
from libelli.core.limits import VALUE_SIZE_MAX
from libelli.live.lock import lock_holder
from tests.cli.machine import Started, Terminal, free_port, kill
from tests.live.cluster import wait_until
from tests.tidy.sources import ROOT


@contextmanager
def cluster(folder: Path, *arguments: str) -> Iterator[tuple[Terminal, Started]]:
    """A cluster in `folder`; whatever happens, nothing of it runs afterwards."""
    terminal = Terminal(folder)
    up = terminal.up("--port", str(free_port()), *arguments)
    try:
        yield terminal, up
    finally:
        up.stop()


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    folder = tmp_path / "journal"
    folder.mkdir()
    for number in range(127):
        (folder / f"post-{number:03d}.md").write_text(f"# Post {number}\n" + "words " * 500)
    (folder / "README.md").write_text("what this is")
    return folder


def serve_line(up: Started, name: str) -> str:
    return next(line.strip() for line in up.text.splitlines() if f"{name}/libelli.toml" in line)


def test_the_leader_is_killed_and_nothing_is_lost(tmp_path: Path, journal: Path) -> None:
    with cluster(tmp_path) as (terminal, up):
        terminal.run("load", str(journal), "--prefix", "posts/")
        assert terminal.run("range", "posts/", "--count") == "128\n"
        before = terminal.leader()
        watch = terminal.start("watch", "posts/", "--revision", "1", output="watch.txt")
        watch.wait_for("put\tposts/post-126.md")

        kill(before["process"])
        terminal.run("put", "posts/new", "hello")
        assert terminal.run("get", "posts/new") == "hello\n"
        watch.wait_for("put\tposts/new\thello\n")
        assert len(re.findall(r"^put\tposts/", watch.text, re.MULTILINE)) == 129
        watch.stop()

        up.wait_for(f"{before['name']} was ended by SIGKILL")
        assert terminal.replicas()[before["name"]]["role"] == "down"
        assert terminal.leader()["name"] != before["name"]

        up.wait_for("leads (term")
        line = serve_line(up, before["name"])
        again = terminal.start_line(line, output="again.txt")
        wait_until(lambda: terminal.replicas()[before["name"]]["lag"] == 0, "the killed replica to catch up")
        up.wait_for(f"{before['name']} runs again")
        assert terminal.run("range", "posts/", "--count") == "129\n"
        assert up.stop(signal.SIGINT) == ExitCode.OK
        assert again.process.wait(60) == ExitCode.OK  # the one that was started by hand, too
        assert [lock_holder(tmp_path / ".libelli" / name / "data") for name in ("n1", "n2", "n3")] == [None] * 3


def test_data_and_members_are_there_after_a_restart(tmp_path: Path) -> None:
    with cluster(tmp_path, "--region", "here", "--region", "there") as (terminal, up):
        terminal.run("put", "a", "1")
        first = terminal.replicas()
        assert up.stop() == ExitCode.OK
    up = terminal.up(output="again.txt")
    try:
        assert terminal.run("get", "a") == "1\n"
        wait_until(lambda: {each["lag"] for each in terminal.replicas().values()} == {0}, "all to catch up")
        replicas = terminal.replicas()
        assert [each["region"] for each in replicas.values()] == [each["region"] for each in first.values()]
        assert {each["role"] for each in replicas.values()} <= {"leader", "follower"}
    finally:
        assert up.stop() == ExitCode.OK


@pytest.mark.slow
def test_replicas_whose_up_was_killed_are_taken_over(tmp_path: Path) -> None:
    with cluster(tmp_path, "--replicas", "3") as (terminal, up):
        terminal.leader()
        processes = {name: replica["process"] for name, replica in terminal.replicas().items()}
        up.stop(signal.SIGKILL)
        kill(processes["n2"])
        second = terminal.up(output="second.txt")
        try:
            wait_until(lambda: terminal.replicas()["n2"]["process"], "the killed replica to run again")
            after = {name: replica["process"] for name, replica in terminal.replicas().items()}
            assert (after["n1"], after["n3"]) == (processes["n1"], processes["n3"])
            assert after["n2"] != processes["n2"]
        finally:
            second.stop()
        assert [lock_holder(tmp_path / ".libelli" / name / "data") for name in after] == [None] * 3


def test_a_folder_has_one_up_at_a_time_and_keeps_its_shape(tmp_path: Path) -> None:
    with cluster(tmp_path) as (terminal, up):
        refused = terminal.run("up", code=ExitCode.STORAGE)
        assert f"in use by process {up.process.pid}" in refused
        up.stop()
        assert "grow it with libelli member add" in terminal.run("up", "--replicas", "5", code=ExitCode.USAGE)
        assert "uses TLS" in terminal.run("up", "--plain", code=ExitCode.USAGE)


@pytest.mark.slow
def test_a_member_is_added_here_promoted_and_removed(tmp_path: Path) -> None:
    with cluster(tmp_path) as (terminal, _):
        terminal.run("put", "a", "1")
        added = terminal.json("member", "add", "n4", "--region", "far")
        assert (added["pid"], added["vote"]) == (4, False)
        started = terminal.start_line(added["start"], output="n4.txt")
        try:
            wait_until(lambda: terminal.replicas()["n4"]["lag"] == 0, "the new member to catch up")
            wait_until(lambda: terminal.is_done("member", "promote", "n4"), "the leader to know that it has caught up")
            assert [each["vote"] for each in terminal.json("member", "list")["members"]] == [True] * 4
            terminal.run("transfer", "n4")
            terminal.leader()
            terminal.run("member", "remove", "n4", "--yes")
            wait_until(lambda: "n4" not in terminal.replicas(), "the member to be gone")
            assert terminal.run("get", "a") == "1\n"
        finally:
            started.stop()


def test_a_snapshot_becomes_a_cluster_of_its_own(tmp_path: Path, journal: Path) -> None:
    with cluster(tmp_path) as (terminal, _):
        terminal.run("load", str(journal), "--prefix", "posts/")
        saved = terminal.json("snapshot", "save", "s.snap")
        terminal.run("put", "after", "the snapshot")
        assert terminal.json("snapshot", "show", "s.snap") == saved

        made = terminal.json("snapshot", "restore", "s.snap", "--data", "restored", "--port", str(free_port()))
        assert made["cluster"] != saved["cluster"]
        assert "is not empty" in terminal.run("snapshot", "restore", "s.snap", "--data", "restored", code=5)
        other = ("--cluster", "restored/cluster.toml")
        up = terminal.up("--data", "restored", output="restored.txt")
        try:
            assert terminal.run("range", "posts/", "--count", *other) == "128\n"
            terminal.run("get", "after", *other, code=ExitCode.REFUSED)
            terminal.run("put", "after", "restoring", *other)
            terminal.leader(*other)
            wait_until(
                lambda: {each["lag"] for each in terminal.replicas(*other).values()} == {0}, "all replicas to catch up"
            )
            assert terminal.run("get", "after") == "the snapshot\n"
        finally:
            up.stop()


def test_what_a_survivor_holds_becomes_a_cluster(tmp_path: Path, journal: Path) -> None:
    with cluster(tmp_path) as (terminal, up):
        terminal.run("load", str(journal), "--prefix", "posts/")
        terminal.run("put", "last", "words")
        in_use = terminal.run("recover", ".libelli/n1/data", "--data", "recovered", "--yes", code=ExitCode.STORAGE)
        assert "in use by process" in in_use
        wait_until(lambda: {each["lag"] for each in terminal.replicas().values()} == {0}, "all to catch up")
        for replica in terminal.replicas().values():
            kill(replica["process"])
        up.wait_for("nobody leads")
        up.stop()

        folders = [f".libelli/n{number}/data" for number in (3, 1)]
        looked = terminal.json("recover", *folders, "--data", "recovered", "--dry-run")["survivors"]
        assert {each["members"] == ["n1", "n2", "n3"] for each in looked} == {True}
        port = str(free_port())
        said = terminal.run("recover", *folders, "--data", "recovered", "--replicas", "1", "--port", port, "--yes")
        assert "may be lost" in said
        assert "must never run again" in said

        other = ("--cluster", "recovered/cluster.toml")
        recovered = terminal.up("--data", "recovered", output="recovered.txt")
        try:
            assert terminal.run("range", "posts/", "--count", *other) == "128\n"
            assert terminal.run("get", "last", *other) == "words\n"
            terminal.run("put", "last", "of a new life", *other)
        finally:
            recovered.stop()


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A cluster of one replica, for tests that only need somebody who answers."""
    with cluster(tmp_path_factory.mktemp("lone"), "--replicas", "1") as (terminal, _):
        yield terminal


def test_the_readmes_python_does_what_it_says(lone: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    assert "127.0.0.1:7401" in program
    with contextlib.chdir(lone.folder):
        exec(program.replace("127.0.0.1:7401", lone.leader()["address"]), {})  # what README.md shows
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "b'paint the fence'"
    assert len(said) == 1001


def test_the_programs_of_the_client_page_do_what_they_say(lone: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    native, grpc = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    leader = lone.leader()
    with contextlib.chdir(lone.folder):
        exec(native.replace("127.0.0.1:7401", leader["address"]), {})
        said = capsys.readouterr().out.splitlines()
        assert said[:4] == ["True", "2", "b'jobs/1' b'paint the fence'", "b'jobs/1' deleted"]
        assert said[4].startswith("nothing was changed:")
        exec(grpc.replace("127.0.0.1:7402", leader["grpc_address"]), {})
    assert capsys.readouterr().out.splitlines() == ["True", "b'green'"]


def test_values_of_any_kind_come_back_byte_for_byte(lone: Terminal) -> None:
    source, target = lone.folder / "source", lone.folder / "target"
    for content in (b"", bytes(range(256)), b"\x00" * VALUE_SIZE_MAX, "Häuser\n".encode()):
        source.write_bytes(content)
        lone.run("put", "value", "--file", str(source))
        lone.run("get", "value", "--output", str(target))
        assert target.read_bytes() == content
    key = "ff00" * 1_000
    lone.run("put", key, "x", "--hex")
    assert lone.run("get", key, "--hex") == "x\n"


def test_what_a_node_refuses_changes_nothing_and_says_why(lone: Terminal) -> None:
    before = lone.json("range", "--count")["revision"]
    (lone.folder / "large").write_bytes(b"x" * (VALUE_SIZE_MAX + 1))
    refusals = {
        ("put", "", "x"): "empty",
        ("put", "a", "--file", "large"): "1,048,576",
        ("put", "a", "x", "-c", "nowhere"): "nowhere",
        ("put", "a", "x", "--lease", "77"): "lease",
        ("get", "nobody"): "nobody",
        ("get", "a", "--revision", "99999"): "99999",
        ("compact", "99999"): "99999",
        ("member", "promote", "n9"): "n9",
    }
    for arguments, words in refusals.items():
        said = lone.run(*arguments, code=ExitCode.REFUSED)
        assert words in said
        assert said.count("\n") == 1
    assert lone.json("range", "--count")["revision"] == before


def test_a_stranger_is_told_why_it_is_not_let_in(lone: Terminal) -> None:
    address = lone.leader()["address"]
    lone.run("ca", "init", "other")
    lone.run("ca", "issue", "stranger", "--ca", "other")
    bundle = "other/bundles/stranger.pem"
    said = lone.run("get", "a", "--endpoint", address, "--certificates", bundle, code=ExitCode.REFUSED)
    assert "certificate" in said
    assert said.count("\n") == 1
    plain = lone.run("get", "a", "--endpoint", address, "--plain", "--timeout-ms", "1000", code=ExitCode.DID_NOT_HAPPEN)
    assert plain.count("\n") == 1


def test_a_revoked_client_is_not_let_in_any_more(lone: Terminal) -> None:
    address = lone.leader()["address"]
    issued = lone.json("ca", "issue", "bob")
    who = ("--endpoint", address, "--certificates", issued["path"])
    lone.run("put", "bob", "was here", *who)
    lone.run("ca", "revoke", "bob")
    refused = "get", "bob", "--timeout-ms", "2000", *who
    wait_until(lambda: not lone.is_done(*refused), "the node to read the list of revocations")
    said = lone.run(*refused, code=ExitCode.REFUSED)
    assert "bob" in said
    assert "is revoked" in said
    assert lone.run("get", "bob") == "was here\n"
