"""A running node takes renewed certificates and revocations for new handshakes, and never half of them."""

import logging
import ssl
from pathlib import Path

import pytest
from cryptography import x509

from libelli.live.certificates import (
    Authority,
    BundleError,
    CertificatePaths,
    CertificateWatch,
    Identity,
    IdentityError,
    Kind,
    client_context,
    identity_of,
    load_bundle,
    load_revocations,
    revoked_serials,
    server_context,
)
from libelli.live.certificates.bundle import encode_certificate
from tests.live.certificates.handshakes import SetClock, issue, new_authority, shake


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def authority(tmp_path: Path, clock: SetClock) -> Authority:
    return new_authority(tmp_path / "ca", clock)


@pytest.fixture
def n1(authority: Authority) -> CertificatePaths:
    return issue(authority, "n1")


@pytest.fixture
def n2(authority: Authority) -> CertificatePaths:
    return issue(authority, "n2")


def serial_shown_by(watch: CertificateWatch, caller: ssl.SSLContext) -> int:
    server, client = shake(watch.server_context, caller)
    assert (server.problem, client.problem) == (None, None)
    return identity_of(client.connection).serial


def test_nothing_is_reloaded_while_nothing_changes(n1: CertificatePaths) -> None:
    watch = CertificateWatch(n1)
    before = watch.client_context
    assert not watch.reload_if_changed()
    assert watch.client_context is before
    assert watch.identity == Identity(Kind.PEER, "n1")


def test_a_renewed_certificate_serves_new_handshakes_of_the_same_listener(
    authority: Authority, n1: CertificatePaths, n2: CertificatePaths
) -> None:
    watch = CertificateWatch(n1)
    listener = watch.server_context
    first = serial_shown_by(watch, client_context(n2))
    renewed = authority.renew("n1").bundle.identity.serial
    assert serial_shown_by(watch, client_context(n2)) == first != renewed
    assert watch.reload_if_changed()
    assert watch.server_context is listener
    assert serial_shown_by(watch, client_context(n2)) == renewed


def test_a_renewed_certificate_is_shown_by_new_calls(
    authority: Authority, n1: CertificatePaths, n2: CertificatePaths
) -> None:
    caller = CertificateWatch(n2)
    renewed = authority.renew("n2").bundle.identity.serial
    caller.reload_if_changed()
    server, _ = shake(CertificateWatch(n1).server_context, caller.client_context)
    assert identity_of(server.connection).serial == renewed


def test_a_revocation_takes_effect_for_new_handshakes(
    authority: Authority, n1: CertificatePaths, n2: CertificatePaths
) -> None:
    watch, caller = CertificateWatch(n1), client_context(n2)
    serial_shown_by(watch, caller)
    authority.revoke("n2")  # within a second of the first list, which an OpenSSL context would go on to prefer
    assert watch.reload_if_changed()
    server, _ = shake(watch.server_context, caller)
    with pytest.raises(IdentityError, match="revoked"):
        watch.admit(server.connection)


def test_openssl_keeps_the_older_of_two_lists_signed_in_one_second(
    authority: Authority, n1: CertificatePaths, n2: CertificatePaths
) -> None:
    """The reason for new contexts: if this ever fails, OpenSSL has changed and reloading in place may be enough."""
    in_place = CertificateWatch(n1)._material.client
    authority.revoke("n2")
    in_place.load_verify_locations(cafile=n1.revocations)
    _, client = shake(server_context(n2), in_place)
    assert client.problem is None


def test_the_first_list_of_revocations_takes_effect(
    authority: Authority, n1: CertificatePaths, n2: CertificatePaths
) -> None:
    n1.revocations.unlink()
    watch, caller = CertificateWatch(n1), client_context(n2)
    serial_shown_by(watch, caller)
    assert not watch.client_context.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF
    authority.revoke("n2")
    assert watch.reload_if_changed()
    server, _ = shake(watch.server_context, caller)
    with pytest.raises(IdentityError, match="revoked"):
        watch.admit(server.connection)


def test_an_open_connection_of_a_revoked_caller_is_told_apart(
    authority: Authority, n1: CertificatePaths, n2: CertificatePaths
) -> None:
    watch = CertificateWatch(n1)
    server, _ = shake(watch.server_context, client_context(n2))
    identity = watch.admit(server.connection, kind=Kind.PEER, name="n2")
    assert not watch.is_revoked(identity)
    authority.revoke("n2")
    watch.reload_if_changed()
    assert watch.is_revoked(identity)
    with pytest.raises(IdentityError, match=r"certificate of peer n2 .* is revoked"):
        watch.admit(server.connection)


def test_a_door_that_hands_over_pem_refuses_the_revoked(
    authority: Authority, n1: CertificatePaths, n2: CertificatePaths
) -> None:
    watch = CertificateWatch(n1)
    shown = encode_certificate(load_bundle(n2.bundle).certificate)
    assert watch.admit_pem(shown, kind=Kind.PEER).name == "n2"
    authority.revoke("n2")
    watch.reload_if_changed()
    with pytest.raises(IdentityError, match="is revoked"):
        watch.admit_pem(shown)
    with pytest.raises(IdentityError, match="no certificate"):
        watch.admit_pem(b"")


def test_revoked_serials_are_those_of_the_list(
    authority: Authority, n1: CertificatePaths, n2: CertificatePaths
) -> None:
    serial = load_bundle(n2.bundle).identity.serial
    authority.revoke("n2")
    assert CertificateWatch(n1).revoked_serials == {serial}
    assert load_revocations(n1.revocations, authority=authority.certificate).serials == {serial}
    assert revoked_serials(x509.load_pem_x509_crl(n1.revocations.read_bytes())) == {serial}


@pytest.mark.parametrize("left_bytes", [0, 1, 100, 400, 900])
def test_half_a_bundle_leaves_the_old_one_in_use(
    n1: CertificatePaths, n2: CertificatePaths, left_bytes: int, caplog: pytest.LogCaptureFixture
) -> None:
    watch = CertificateWatch(n1)
    before = serial_shown_by(watch, client_context(n2))
    whole = n1.bundle.read_bytes()
    n1.bundle.write_bytes(whole[:left_bytes])
    with caplog.at_level(logging.WARNING):
        assert not watch.reload_if_changed()
        assert not watch.reload_if_changed()
    assert len(caplog.records) == 1
    assert watch.problem is not None
    assert "n1.pem" in watch.problem
    assert serial_shown_by(watch, client_context(n2)) == before
    n1.bundle.write_bytes(whole)
    assert watch.reload_if_changed()
    assert watch.problem is None


def test_a_good_bundle_beside_a_damaged_list_is_not_used_either(
    authority: Authority, n1: CertificatePaths, n2: CertificatePaths
) -> None:
    watch = CertificateWatch(n1)
    before = serial_shown_by(watch, client_context(n2))
    authority.renew("n1")
    n1.revocations.write_bytes(n1.revocations.read_bytes()[:-40])
    assert not watch.reload_if_changed()
    assert watch.problem is not None
    assert "crl.pem is damaged" in watch.problem
    assert serial_shown_by(watch, client_context(load_good(n2))) == before


def load_good(paths: CertificatePaths) -> CertificatePaths:
    """The same bundle, with no list beside it."""
    return CertificatePaths(paths.bundle, paths.bundle.with_name("none.pem"))


def test_the_bundle_of_another_peer_is_refused(n1: CertificatePaths, n2: CertificatePaths) -> None:
    watch = CertificateWatch(n1)
    n1.bundle.write_bytes(n2.bundle.read_bytes())
    assert_kept(watch, "n1.pem is now of peer n2, and this node is peer n1")


def test_a_bundle_that_is_gone_leaves_the_old_one_in_use(n1: CertificatePaths) -> None:
    watch = CertificateWatch(n1)
    n1.bundle.unlink()
    assert_kept(watch, "No such file")


def test_a_renewed_bundle_that_expired_meanwhile_is_refused(
    authority: Authority, clock: SetClock, n1: CertificatePaths
) -> None:
    watch = CertificateWatch(n1, clock=clock)
    authority.renew("n1", days=1)
    clock.move(days=2)
    assert_kept(watch, "n1.pem expired")


def test_a_bundle_that_others_can_read_is_refused(authority: Authority, n1: CertificatePaths) -> None:
    watch = CertificateWatch(n1)
    authority.renew("n1").path.chmod(0o640)
    assert_kept(watch, "chmod 600")
    n1.bundle.chmod(0o600)
    assert watch.reload_if_changed()


def assert_kept(watch: CertificateWatch, words: str) -> None:
    """New files were refused with these words, and the old certificate is in use."""
    before = watch.pem_triple
    assert not watch.reload_if_changed()
    assert watch.problem is not None
    assert words in watch.problem
    assert watch.pem_triple == before


def test_revocations_are_never_forgotten(authority: Authority, n1: CertificatePaths, n2: CertificatePaths) -> None:
    before = n1.revocations.read_bytes()
    authority.revoke("n2")
    watch = CertificateWatch(n1)
    n1.revocations.write_bytes(before)
    assert not watch.reload_if_changed()
    assert watch.problem is not None
    assert "is number 0, older than number 1" in watch.problem
    n1.revocations.unlink()
    assert not watch.reload_if_changed()
    assert "is gone" in watch.problem
    assert watch.revoked_serials


def test_a_list_of_another_authority_is_refused(tmp_path: Path, n1: CertificatePaths) -> None:
    watch = CertificateWatch(n1)
    other = new_authority(tmp_path / "other")
    n1.revocations.write_bytes((other.home / "crl.pem").read_bytes())
    assert not watch.reload_if_changed()
    assert watch.problem is not None
    assert "another authority" in watch.problem
    with pytest.raises(BundleError, match="another authority"):
        client_context(n1)


def test_a_former_authority_is_not_trusted_after_reload(tmp_path: Path, n1: CertificatePaths) -> None:
    watch, former = CertificateWatch(n1), client_context(n1)
    successor = new_authority(tmp_path / "other")
    own, other = issue(successor, "n1"), issue(successor, "n2")
    n1.bundle.write_bytes(own.bundle.read_bytes())
    n1.revocations.write_bytes(own.revocations.read_bytes())
    assert watch.reload_if_changed()
    serial_shown_by(watch, client_context(other))
    former.verify_mode = ssl.CERT_NONE
    server, _ = shake(watch.server_context, former)
    assert server.problem is not None
    assert "certificate verify failed" in server.problem


def test_days_left_count_down_to_the_renewal(authority: Authority, clock: SetClock, n1: CertificatePaths) -> None:
    watch = CertificateWatch(n1, clock=clock)
    assert 364.9 < watch.days_left() <= 365
    clock.move(days=340)
    assert 24.9 < watch.days_left() <= 25
    authority.renew("n1")
    assert watch.reload_if_changed()
    assert 364.9 < watch.days_left() <= 365


def test_a_node_does_not_start_with_an_expired_certificate(clock: SetClock, n1: CertificatePaths) -> None:
    clock.move(days=366)
    with pytest.raises(BundleError, match=r"expired on .*libelli ca renew n1"):
        CertificateWatch(n1, clock=clock)


def test_a_node_whose_clock_is_behind_is_told_so(clock: SetClock, n1: CertificatePaths) -> None:
    clock.move(days=-1)
    with pytest.raises(BundleError, match=r"is not valid before .*set this machine's clock"):
        CertificateWatch(n1, clock=clock)
