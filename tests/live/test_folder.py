"""Data folders: what an empty one may become, and that a node that forgot its promises does not begin anew."""

from pathlib import Path

import pytest

from libelli.core.errors import ForeignError, StorageError
from libelli.core.ids import ClusterId, NodeId
from libelli.core.members import Configuration, Member
from libelli.host.identity import Identity
from libelli.host.log.layout import segment_name
from libelli.live.folder import IDENTITY_NAME, LOG_NAME, Beginning, Folder, Stage, open_folder, read_folder

IDENTITY = Identity(ClusterId("c" * 32), NodeId(2), "n2")
MEMBERS = tuple(Member(NodeId(n), f"n{n}", "", f"127.0.0.1:{n}", f"127.0.0.1:{n}1") for n in (1, 2, 3))


def opened(path: Path, beginning: Beginning = Beginning.REFUSED, identity: Identity = IDENTITY) -> Folder:
    return open_folder(path, identity=identity, beginning=beginning, members=MEMBERS)


def add_log(path: Path) -> None:
    (path / LOG_NAME).mkdir()
    (path / LOG_NAME / segment_name(1)).touch()


def test_an_empty_folder_is_refused_unless_told_what_it_begins(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"is empty.*--begin found.*--begin join.*If its data is lost, do neither"):
        opened(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_founder_remembers_all_founders(tmp_path: Path) -> None:
    opened(tmp_path, Beginning.FOUND)
    folder = opened(tmp_path)
    assert folder.founding_configuration == Configuration(MEMBERS)
    assert folder.stage is Stage.NEW


def test_a_member_that_joins_learns_its_members_from_the_others(tmp_path: Path) -> None:
    opened(tmp_path, Beginning.JOIN)
    assert opened(tmp_path).founding_configuration == Configuration(())


def test_what_was_begun_once_is_not_begun_again_another_way(tmp_path: Path) -> None:
    opened(tmp_path, Beginning.JOIN)
    assert opened(tmp_path, Beginning.FOUND).founding == ()


def test_a_folder_with_a_log_is_in_use(tmp_path: Path) -> None:
    opened(tmp_path, Beginning.FOUND)
    add_log(tmp_path)
    assert opened(tmp_path).stage is Stage.IN_USE
    assert read_folder(tmp_path) == opened(tmp_path)


@pytest.mark.parametrize("beginning", Beginning)
def test_a_folder_that_lost_its_log_is_refused_whatever_is_asked(tmp_path: Path, beginning: Beginning) -> None:
    opened(tmp_path, Beginning.FOUND)
    add_log(tmp_path)
    opened(tmp_path)
    (tmp_path / LOG_NAME / segment_name(1)).unlink()
    with pytest.raises(StorageError, match=r"lost its segments.*libelli member remove.*--begin join"):
        opened(tmp_path, beginning)


def test_a_log_without_an_identity_is_refused(tmp_path: Path) -> None:
    add_log(tmp_path)
    with pytest.raises(StorageError, match=r"has a log and no identity\.json"):
        opened(tmp_path, Beginning.FOUND)


@pytest.mark.parametrize(
    ("identity", "what"),
    [
        (Identity(ClusterId("d" * 32), NodeId(2), "n2"), "cluster d"),
        (Identity(IDENTITY.cluster, NodeId(3), "n2"), "number 3"),
        (Identity(IDENTITY.cluster, NodeId(2), "n3"), "name n3"),
    ],
)
def test_the_folder_of_another_is_refused(tmp_path: Path, identity: Identity, what: str) -> None:
    opened(tmp_path, Beginning.FOUND)
    with pytest.raises(ForeignError, match=f"belongs to node 'n2'.*the configuration says {what}"):
        opened(tmp_path, identity=identity)


def test_a_damaged_or_newer_identity_is_refused(tmp_path: Path) -> None:
    opened(tmp_path, Beginning.FOUND)
    file = tmp_path / IDENTITY_NAME
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"version": 1', '"version": 2'), encoding="utf-8")
    with pytest.raises(ForeignError, match="has version 2, this libelli reads 1"):
        opened(tmp_path)
    file.write_text(text[:40], encoding="utf-8")
    with pytest.raises(StorageError, match=r"identity.json is damaged.*put it back from a copy"):
        opened(tmp_path)
