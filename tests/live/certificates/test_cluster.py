"""The certificates of a cluster are made once and kept current."""

from pathlib import Path

import pytest

from libelli.live.certificates import (
    Authority,
    AuthorityError,
    BundleError,
    ClusterCertificates,
    Identity,
    Kind,
    RequestError,
    client_context,
    ensure_cluster_certificates,
    load_bundle,
    require_identity,
    server_context,
)
from tests.live.certificates.handshakes import SetClock, shake

PEERS = {"n1": ("127.0.0.1", "::1"), "n2": ("127.0.0.1",), "n3": ()}


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / ".libelli" / "certificates"


@pytest.fixture
def cluster(home: Path, clock: SetClock) -> ClusterCertificates:
    return ensure_cluster_certificates(home, peers=PEERS, clock=clock)


def files_below(home: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}


def test_a_new_cluster_gets_all_it_needs(cluster: ClusterCertificates) -> None:
    assert cluster.written == ("n1", "n2", "n3", "admin")
    assert list(cluster.peers) == ["n1", "n2", "n3"]
    server, client = shake(server_context(cluster.peers["n1"]), client_context(cluster.client))
    assert require_identity(server.connection, kind=Kind.CLIENT) == Identity(Kind.CLIENT, "admin")
    assert require_identity(client.connection, kind=Kind.PEER, name="n1") == Identity(Kind.PEER, "n1")


def test_asking_again_changes_no_byte(home: Path, cluster: ClusterCertificates, clock: SetClock) -> None:
    before = files_below(home)
    again = ensure_cluster_certificates(home, peers=PEERS, clock=clock)
    assert again.written == ()
    assert (again.peers, again.client) == (cluster.peers, cluster.client)
    assert files_below(home) == before


def test_bundles_close_to_their_end_are_renewed(home: Path, cluster: ClusterCertificates, clock: SetClock) -> None:
    clock.move(days=334)
    assert ensure_cluster_certificates(home, peers=PEERS, clock=clock).written == ()
    clock.move(days=2)
    assert ensure_cluster_certificates(home, peers=PEERS, clock=clock).written == ("n1", "n2", "n3", "admin")
    assert ensure_cluster_certificates(home, peers=PEERS, clock=clock).written == ()


def test_a_new_peer_a_new_address_and_a_lost_bundle_are_made(
    home: Path, cluster: ClusterCertificates, clock: SetClock
) -> None:
    cluster.peers["n1"].bundle.unlink()
    peers = PEERS | {"n2": ("127.0.0.1", "n2.example.org"), "n4": ("127.0.0.1",)}
    assert ensure_cluster_certificates(home, peers=peers, clock=clock).written == ("n1", "n2", "n4")


def test_a_renewal_cut_short_is_repeated(home: Path, cluster: ClusterCertificates, clock: SetClock) -> None:
    old = cluster.peers["n1"].bundle.read_bytes()
    Authority.open(home, clock=clock).renew("n1")
    cluster.peers["n1"].bundle.write_bytes(old)  # the index knows of a newer one
    assert ensure_cluster_certificates(home, peers=PEERS, clock=clock).written == ("n1",)


def test_a_revoked_peer_is_not_admitted_again_by_itself(
    home: Path, cluster: ClusterCertificates, clock: SetClock
) -> None:
    Authority.open(home, clock=clock).revoke("n2")
    with pytest.raises(AuthorityError, match=r"n2 was revoked on .*libelli ca issue n2 --kind peer --ca"):
        ensure_cluster_certificates(home, peers=PEERS, clock=clock)


def test_a_name_has_one_kind(home: Path, cluster: ClusterCertificates, clock: SetClock) -> None:
    with pytest.raises(AuthorityError, match=r"admin has the certificate of a client, and a peer"):
        ensure_cluster_certificates(home, peers={"admin": ()}, client="root", clock=clock)
    with pytest.raises(RequestError, match="two bearers are called 'N1'"):
        ensure_cluster_certificates(home, peers={"n1": ()}, client="N1", clock=clock)


def test_nothing_is_made_for_a_bad_name_or_address(home: Path) -> None:
    with pytest.raises(RequestError):
        ensure_cluster_certificates(home, peers={"n1": (), "../n2": ()})
    with pytest.raises(RequestError):
        ensure_cluster_certificates(home, peers={"n1": ("300.0.0.1",)})
    assert not home.exists()


def test_a_damaged_bundle_is_told_and_not_replaced(home: Path, cluster: ClusterCertificates, clock: SetClock) -> None:
    path = cluster.peers["n1"].bundle
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(BundleError, match=r"n1.pem is cut off or damaged"):
        ensure_cluster_certificates(home, peers=PEERS, clock=clock)


def test_a_moved_directory_goes_on_working(home: Path, cluster: ClusterCertificates, clock: SetClock) -> None:
    moved = home.with_name("moved")
    home.rename(moved)
    again = ensure_cluster_certificates(moved, peers=PEERS, clock=clock)
    assert again.written == ()
    assert load_bundle(again.peers["n1"].bundle).identity.name == "n1"
