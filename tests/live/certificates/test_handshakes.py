"""Who gets through a handshake, and who is told apart after it."""

import ssl
from pathlib import Path

import pytest

from libelli.live.certificates import (
    Authority,
    CertificatePaths,
    CertificateWatch,
    Identity,
    IdentityError,
    KeyKind,
    Kind,
    Subject,
    client_context,
    identity_of,
    identity_of_certificate,
    load_bundle,
    require_identity,
    server_context,
)
from libelli.live.certificates.bundle import encode_certificate
from libelli.live.certificates.contexts import bare_context
from libelli.live.certificates.keys import encode_key, generate_key
from libelli.live.certificates.profiles import Lifetime, sign_authority
from tests.live.certificates.handshakes import SetClock, issue, new_authority, shake


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return new_authority(tmp_path / "ca")


@pytest.fixture
def n1(authority: Authority) -> CertificatePaths:
    return issue(authority, "n1", addresses=("127.0.0.1", "n1.example.org"))


def test_two_peers_know_each_other_after_a_handshake(authority: Authority, n1: CertificatePaths) -> None:
    n2 = issue(authority, "n2")
    server, client = shake(server_context(n1), client_context(n2))
    assert (server.problem, client.problem) == (None, None)
    assert identity_of(server.connection) == Identity(Kind.PEER, "n2")
    assert require_identity(client.connection, kind=Kind.PEER, name="n1").name == "n1"
    assert client.connection.version() == "TLSv1.3"


@pytest.mark.parametrize("key", [KeyKind.P256, KeyKind.RSA2048, pytest.param(KeyKind.RSA3072, marks=pytest.mark.slow)])
def test_every_kind_of_key_serves(tmp_path: Path, key: KeyKind) -> None:
    authority = Authority.create(tmp_path / "ca", subject=Subject(), key=key)
    server, client = shake(server_context(issue(authority, "n1")), client_context(issue(authority, "n2")))
    assert (server.problem, client.problem) == (None, None)


def test_a_client_is_admitted_as_client_and_refused_as_peer(authority: Authority, n1: CertificatePaths) -> None:
    server, _ = shake(server_context(n1), client_context(issue(authority, "alice", Kind.CLIENT)))
    assert server.problem is None
    assert require_identity(server.connection, kind=Kind.CLIENT) == Identity(Kind.CLIENT, "alice")
    with pytest.raises(IdentityError, match=r"client alice .* only a peer may speak.*--kind peer"):
        require_identity(server.connection, kind=Kind.PEER)


def test_a_client_cannot_stand_in_for_a_server(authority: Authority) -> None:
    alice, n2 = issue(authority, "alice", Kind.CLIENT), issue(authority, "n2")
    _, client = shake(server_context(alice), client_context(n2))
    assert client.problem is not None
    assert "unsuitable certificate purpose" in client.problem


def test_a_peer_that_is_not_the_one_dialled_is_refused(authority: Authority, n1: CertificatePaths) -> None:
    _, client = shake(server_context(n1), client_context(issue(authority, "n2")))
    with pytest.raises(IdentityError, match=r"expected n3 and met peer n1"):
        require_identity(client.connection, kind=Kind.PEER, name="n3")


@pytest.mark.parametrize("server_name", ["127.0.0.1", "n1.example.org", "n1"])
def test_host_names_addresses_and_the_name_pass_the_hostname_check(
    authority: Authority, n1: CertificatePaths, server_name: str
) -> None:
    calling = client_context(issue(authority, "n2"), check_hostname=True)
    server, client = shake(server_context(n1), calling, server_name=server_name)
    assert (server.problem, client.problem) == (None, None)


@pytest.mark.parametrize("server_name", ["127.0.0.2", "n2.example.org", "n2"])
def test_another_host_name_fails_the_hostname_check(
    authority: Authority, n1: CertificatePaths, server_name: str
) -> None:
    calling = client_context(issue(authority, "n2"), check_hostname=True)
    _, client = shake(server_context(n1), calling, server_name=server_name)
    assert client.problem is not None
    assert "mismatch" in client.problem


def test_a_bearer_of_another_authority_is_refused_by_both_sides(tmp_path: Path, n1: CertificatePaths) -> None:
    stranger = issue(new_authority(tmp_path / "other"), "n2")  # the same subject, another key
    _, client = shake(server_context(n1), client_context(stranger))
    assert client.problem is not None
    assert "certificate verify failed" in client.problem
    trusting = client_context(stranger)
    trusting.load_verify_locations(cadata=encode_certificate(load_bundle(n1.bundle).authority).decode())
    trusting.verify_flags &= ~ssl.VERIFY_CRL_CHECK_LEAF  # a caller that would accept n1
    server, client = shake(server_context(n1), trusting)
    assert server.problem is not None
    assert "certificate verify failed" in server.problem
    assert client.problem is not None


def test_an_expired_caller_is_refused(tmp_path: Path) -> None:
    clock = SetClock()
    clock.move(days=-400)
    authority = new_authority(tmp_path / "ca", clock)
    expired = client_context(issue(authority, "old"), clock=clock)
    clock.move(days=400)
    server, client = shake(server_context(issue(authority, "n1")), expired)
    assert server.problem is not None
    assert "certificate has expired" in server.problem
    assert client.problem is not None
    assert "expired" in client.problem


def test_an_expired_server_is_refused(tmp_path: Path) -> None:
    clock = SetClock()
    clock.move(days=-400)
    authority = new_authority(tmp_path / "ca", clock)
    expired = server_context(issue(authority, "old"), clock=clock)
    clock.move(days=400)
    _, client = shake(expired, client_context(issue(authority, "n1")))
    assert client.problem is not None
    assert "certificate has expired" in client.problem


def test_a_revoked_caller_is_refused(authority: Authority, n1: CertificatePaths) -> None:
    n2 = client_context(issue(authority, "n2"))
    authority.revoke("n2")
    watch = CertificateWatch(n1)
    server, _ = shake(watch.server_context, n2)
    assert server.problem is None  # so that the caller can be told why
    with pytest.raises(IdentityError, match="revoked"):
        watch.admit(server.connection)


def test_a_revoked_server_is_refused(authority: Authority, n1: CertificatePaths) -> None:
    serving = server_context(n1)
    n2 = issue(authority, "n2")
    authority.revoke("n1")
    _, client = shake(serving, client_context(n2))
    assert client.problem is not None
    assert "certificate revoked" in client.problem


def test_without_a_list_of_revocations_the_chain_decides(authority: Authority, n1: CertificatePaths) -> None:
    n2 = issue(authority, "n2")
    n1.revocations.unlink()
    server, client = shake(server_context(n1), client_context(n2))
    assert (server.problem, client.problem) == (None, None)


def test_a_self_signed_caller_is_refused(tmp_path: Path, n1: CertificatePaths) -> None:
    key = generate_key(KeyKind.P256)
    certificate = sign_authority(key, subject=Subject(), lifetime=Lifetime.starting(SetClock().now, days=9))
    path = tmp_path / "self.pem"
    path.write_bytes(encode_key(key) + encode_certificate(certificate))
    calling = bare_context(ssl.PROTOCOL_TLS_CLIENT)
    calling.load_cert_chain(path)
    calling.verify_mode = ssl.CERT_NONE
    server, _ = shake(server_context(n1), calling)
    assert server.problem is not None
    assert "self-signed certificate" in server.problem
    with pytest.raises(IdentityError, match=r"no URI name .*not one of ours"):
        identity_of_certificate(certificate)


def test_a_caller_without_a_certificate_is_refused(n1: CertificatePaths) -> None:
    calling = bare_context(ssl.PROTOCOL_TLS_CLIENT)
    calling.verify_mode = ssl.CERT_NONE
    server, client = shake(server_context(n1), calling)
    assert server.problem is not None
    assert "did not return a certificate" in server.problem
    assert client.problem is not None


def test_a_caller_of_an_older_version_is_refused(authority: Authority, n1: CertificatePaths) -> None:
    calling = client_context(issue(authority, "n2"))
    calling.minimum_version = ssl.TLSVersion.TLSv1_2
    calling.maximum_version = ssl.TLSVersion.TLSv1_2
    server, client = shake(server_context(n1), calling)
    assert server.problem is not None
    assert "unsupported protocol" in server.problem
    assert client.problem is not None


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost: n1\r\n\r\n", b"\x00" * 64, bytes(range(256))])
def test_plain_bytes_fail_the_handshake(n1: CertificatePaths, sent: bytes) -> None:
    incoming = ssl.MemoryBIO()
    incoming.write(sent)
    serving = server_context(n1).wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
    with pytest.raises(ssl.SSLError) as failure:
        serving.do_handshake()
    assert not isinstance(failure.value, ssl.SSLWantReadError)


def test_nobody_is_known_before_the_handshake(n1: CertificatePaths) -> None:
    serving = server_context(n1).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    with pytest.raises(IdentityError, match="handshake is not done"):
        identity_of(serving)


def test_no_session_can_be_resumed_past_a_revocation(authority: Authority, n1: CertificatePaths) -> None:
    _, client = shake(server_context(n1), client_context(issue(authority, "n2")))
    session = client.connection.session
    assert session is None or not session.has_ticket
