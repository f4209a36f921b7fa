"""A cluster on this machine is planned and founded; nothing is started."""

import socket
from pathlib import Path

import pytest

from libelli.core.errors import ConfigurationError
from libelli.live.addresses import parse_address
from libelli.live.cluster_file import (
    ClusterFile,
    Place,
    find_cluster_file,
    read_cluster_file,
    write_cluster_file,
)
from libelli.live.configuration import load_configuration
from libelli.live.folder import IDENTITY_NAME, mark_in_use, read_folder
from libelli.live.founding import Wish, draw_cluster_id, ensure_cluster, next_place, plan_cluster
from libelli.live.replica_files import bundle_path, configuration_path, data_path

PLAIN = Wish(is_plain=True, port=17_400)
PLACE = Place(node=1, name="n1", region="here", peer="127.0.0.1:1", client="127.0.0.1:2")


def test_a_founded_cluster_has_all_that_its_replicas_need(tmp_path: Path) -> None:
    path, content, is_new = ensure_cluster(tmp_path, Wish(port=17_400))

    assert is_new
    assert read_cluster_file(path) == content
    assert [place.region for place in content.members] == ["frankfurt", "virginia", "singapore"]
    for place in content.members:
        configuration = load_configuration(configuration_path(tmp_path, place), environment={}, flags={})
        assert configuration.identity.name == place.name
        assert configuration.identity.cluster == content.cluster
        assert configuration.certificates is not None
        assert configuration.certificates.resolve() == bundle_path(tmp_path, content, place)
        assert configuration.data.resolve() == data_path(tmp_path, place)
        folder = read_folder(data_path(tmp_path, place))
        assert folder is not None
        assert folder.founding_configuration == content.configuration
    assert (tmp_path / content.bundle).exists()


def test_founding_again_changes_nothing(tmp_path: Path) -> None:
    path, content, _ = ensure_cluster(tmp_path, PLAIN)
    before = path.read_text()
    assert ensure_cluster(tmp_path, Wish(replicas=5, is_plain=True)) == (path, content, False)
    assert path.read_text() == before


def test_founding_that_did_not_come_to_its_end_is_begun_again(tmp_path: Path) -> None:
    path, first, _ = ensure_cluster(tmp_path, PLAIN)
    path.unlink()  # it is written last
    _, second, is_new = ensure_cluster(tmp_path, PLAIN)
    assert is_new
    assert second.cluster != first.cluster


def test_data_without_the_clusters_file_is_not_founded_over(tmp_path: Path) -> None:
    path, content, _ = ensure_cluster(tmp_path, PLAIN)
    data = data_path(tmp_path, content.members[0])
    folder = read_folder(data)
    assert folder is not None
    mark_in_use(data, folder)
    path.unlink()
    with pytest.raises(ConfigurationError, match="put that back from a copy"):
        ensure_cluster(tmp_path, PLAIN)
    assert (data / IDENTITY_NAME).exists()


def test_ports_that_are_taken_are_left_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        plan = plan_cluster(Wish(is_plain=True, port=port), cluster=draw_cluster_id())
    assert str(port) not in {place.peer.split(":")[1] for place in plan.members}


def test_replicas_can_be_reached_under_the_name_of_another_machine() -> None:
    wish = Wish(replicas=1, host="n1.example.org", port=17_400, is_plain=True)
    (place,) = plan_cluster(wish, cluster=draw_cluster_id()).members
    peer, client, http = (parse_address(address) for address in (place.peer, place.client, place.http))
    assert (peer.host, client.host, http.host) == ("n1.example.org", "n1.example.org", "127.0.0.1")
    assert (client.port, http.port) == (peer.port + 1, peer.port + 3)


def test_regions_are_dealt_out_in_turn() -> None:
    plan = plan_cluster(Wish(replicas=5, regions=("a", "b"), is_plain=True), cluster=draw_cluster_id())
    assert [place.region for place in plan.members] == ["a", "b", "a", "b", "a"]


@pytest.mark.parametrize(
    "wish", [Wish(replicas=0), Wish(replicas=65), Wish(regions=()), Wish(host="a b:c"), Wish(regions=("a", ""))]
)
def test_what_no_cluster_can_be_is_refused(wish: Wish, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        ensure_cluster(tmp_path, wish)
    assert list(tmp_path.iterdir()) == []


def test_a_further_member_gets_ports_of_its_own(tmp_path: Path) -> None:
    _, content, _ = ensure_cluster(tmp_path, PLAIN)
    place = next_place(content, name="n4", region="here")
    taken = {address for other in content.members for address in (other.peer, other.client, other.grpc, other.http)}
    assert {place.peer, place.client, place.http} & taken == set()


def test_the_file_is_found_from_below(tmp_path: Path) -> None:
    path = tmp_path / ".libelli" / "cluster.toml"
    write_cluster_file(path, ClusterFile(version=1, cluster="0" * 32, members=(PLACE,)))
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_cluster_file(below) == path


@pytest.mark.parametrize("name", ["plain", 'with "quotes" and \\', "Häuser", "tab\there"])
def test_names_of_any_kind_survive_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / "cluster.toml"
    place = Place(node=1, name=name, region=name, peer="127.0.0.1:1", client="127.0.0.1:2")
    content = ClusterFile(version=1, cluster="0" * 32, members=(place,))
    write_cluster_file(path, content)
    assert read_cluster_file(path) == content


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "missing required field"),
        ("version = 9\ncluster = 'a'\nmembers = []", "version 9"),
        ("version = 1\ncluster = 'a'\nmembers = []", "no members"),
        ("version = 1\ncluster = 'a'\nmembers = []\nsurprise = 1", "surprise"),
        ("version = ", "cannot be read"),
    ],
)
def test_a_file_that_says_nothing_usable_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=words):
        read_cluster_file(path)
