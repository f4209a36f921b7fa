"""`status`, `member`, `transfer` and `snapshot` against a fake cluster."""

from pathlib import Path

import pytest

from libelli.cli.exits import ExitCode
from libelli.core.errors import Code, call_error
from libelli.live.cluster_file import ClusterFile, Place, write_cluster_file
from tests.cli.commands import Shell
from tests.cli.fakes import MEMBERS, FakeClient


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cluster's file is found from here."""
    monkeypatch.chdir(tmp_path)


def test_status_is_an_array_of_replicas(libelli: Shell) -> None:
    replicas = libelli("status", "--json").document
    assert [replica["name"] for replica in replicas] == ["n1", "n2", "n3"]
    first = replicas[0]
    assert (first["pid"], first["process"], first["role"], first["region"]) == (1, 1001, "leader", "here")
    assert (first["term"], first["applied"], first["lag"]) == (3, 9, 0)


def test_the_lag_is_what_the_leader_has_and_a_replica_has_not_applied(libelli: Shell, client: FakeClient) -> None:
    assert [replica["lag"] for replica in libelli("status", "--json").document] == [0, 1, 2]
    client.down = {1}
    assert [replica["lag"] for replica in libelli("status", "--json").document] == [None, 0, 0]


def test_a_replica_that_is_down_is_shown_as_down(libelli: Shell, client: FakeClient) -> None:
    client.down = {2}
    replicas = libelli("status", "--json").document
    assert replicas[1]["role"] == "down"
    assert replicas[1]["process"] is None
    assert replicas[1]["region"] == "there"
    table = libelli("status").out
    assert "down" in table
    assert "n2: connection refused" in table


def test_status_exits_with_3_when_nobody_answers(libelli: Shell, client: FakeClient) -> None:
    client.down = {1, 2, 3}
    ran = libelli("status")
    assert ran.code == ExitCode.DID_NOT_HAPPEN
    assert ran.out.count("down") == 3


def test_status_of_a_collection_that_nobody_has_is_refused(libelli: Shell) -> None:
    for output in ([], ["--json"]):
        ran = libelli("status", "-c", "nope", *output)
        assert ran.code == ExitCode.REFUSED
        assert ran.out == ""
        assert "no collection 'nope' is here; there are: default" in ran.err


def test_when_nobody_answers_the_clusters_file_names_the_replicas(
    libelli: Shell, client: FakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(**_: object) -> None:
        raise call_error(Code.NOT_CONNECTED, "no node could be reached")

    monkeypatch.setattr(client, "statuses", nobody)
    assert libelli("status").out == ""

    places = tuple(Place(node=m.node, name=m.name, region=m.region, peer="x:1", client="x:2") for m in MEMBERS)
    write_cluster_file(tmp_path / ".libelli" / "cluster.toml", ClusterFile(version=1, cluster="c", members=places))
    ran = libelli("status", "--json")
    assert ran.code == ExitCode.DID_NOT_HAPPEN
    assert [(each["name"], each["role"]) for each in ran.document] == [("n1", "down"), ("n2", "down"), ("n3", "down")]


def test_a_member_learns_then_votes_then_goes(libelli: Shell) -> None:
    added = libelli("member", "add", "n4", "--region", "far", "--peer", "h:1", "--client", "h:2", "--json").document
    assert (added["pid"], added["vote"]) == (4, False)
    assert libelli("member", "promote", "n4").out == "n4 votes\n"
    listed = libelli("member", "list", "--json").document["members"]
    assert [(each["name"], each["vote"]) for each in listed][-1] == ("n4", True)
    assert libelli("member", "remove", "n4", "--yes").code == ExitCode.OK
    assert "n4" not in libelli("member", "list").out


def test_removing_asks_first(libelli: Shell, client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert libelli("member", "remove", "n3").code == ExitCode.REFUSED
    assert len(client.voters) == 3


def test_an_unknown_member_is_refused(libelli: Shell) -> None:
    for arguments in (["promote", "n9"], ["remove", "n9", "--yes"]):
        ran = libelli("member", *arguments)
        assert ran.code == ExitCode.REFUSED
        assert "'n9' is no member" in ran.err


def test_leadership_goes_to_whom_it_is_handed(libelli: Shell) -> None:
    assert libelli("transfer", "n3").out == "n3 is to lead\n"
    assert libelli("status", "--json").document[2]["role"] == "leader"
    assert libelli("transfer", "--json").document == {"leader": None}


def test_a_snapshot_replaces_no_file(libelli: Shell, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    ran = libelli("snapshot", "save", str(there))
    assert ran.code == ExitCode.CONFIGURATION
    assert there.read_text() == "mine"


def test_a_snapshot_that_is_not_whole_leaves_nothing_behind(libelli: Shell, tmp_path: Path) -> None:
    ran = libelli("snapshot", "save", str(tmp_path / "s.snap"))
    assert ran.code == ExitCode.STORAGE
    assert "LIBESNAP" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_snapshot_that_breaks_off_leaves_nothing_behind(libelli: Shell, client: FakeClient, tmp_path: Path) -> None:
    client.failure = call_error(Code.CONNECTION_LOST, "the leader is gone")
    assert libelli("snapshot", "save", str(tmp_path / "s.snap")).code == ExitCode.MAY_HAVE_HAPPENED
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"LIBE", b"LIBESNAP\x00\x01\x00\x00", b"x" * 1000])
def test_a_file_that_is_no_snapshot_is_not_restored(shell: Shell, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "s.snap"
    file.write_bytes(content)
    ran = shell("snapshot", "restore", str(file), "--data", str(tmp_path / "new"))
    assert ran.code == ExitCode.STORAGE
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_folder_without_data_cannot_be_recovered(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = shell("recover", str(tmp_path / "empty"), "--data", str(tmp_path / "new"), "--yes")
    assert ran.code == ExitCode.STORAGE
    assert "no data folder" in ran.err
    assert not (tmp_path / "new").exists()
