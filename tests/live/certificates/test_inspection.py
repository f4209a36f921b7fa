"""What a certificate says of itself, and the warnings before it ends."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from libelli.live.certificates import (
    Authority,
    BundleError,
    CertificatePaths,
    FileError,
    FileModeError,
    KeyKind,
    Kind,
    expiry_warning,
    inspect,
    inspect_all,
    load_bundle,
)
from libelli.live.certificates.bundle import encode_certificate
from libelli.live.certificates.keys import generate_key
from tests.live.certificates.handshakes import SetClock, issue, new_authority


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def authority(tmp_path: Path, clock: SetClock) -> Authority:
    return new_authority(tmp_path / "ca", clock)


@pytest.fixture
def n1(authority: Authority) -> CertificatePaths:
    return issue(authority, "n1", addresses=("n1.example.org", "127.0.0.1"))


def foreign_certificate(common_name: str) -> bytes:
    key, clock = generate_key(KeyKind.P256), SetClock()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(clock())
    clock.move(days=90)
    return encode_certificate(builder.not_valid_after(clock()).sign(key, hashes.SHA256()))


def test_a_bundle_is_told_in_words(n1: CertificatePaths, clock: SetClock) -> None:
    report, certificate = inspect(n1.bundle, clock=clock), load_bundle(n1.bundle).certificate
    assert (report.kind, report.name) == ("peer", "n1")
    assert report.subject == "CN=n1,O=My P2P Network,C=US"
    assert report.issuer == "CN=Libelli authority,O=My P2P Network,C=US"
    assert report.addresses == ("n1", "n1.example.org", "127.0.0.1")
    assert report.serial == f"{certificate.serial_number:x}"
    assert report.fingerprint == certificate.fingerprint(hashes.SHA256()).hex()
    assert report.revoked is False
    assert report.warning is None


def test_revoked_is_known_where_a_list_lies_beside(authority: Authority, n1: CertificatePaths, clock: SetClock) -> None:
    authority.revoke("n1")
    report = inspect(n1.bundle, clock=clock)
    assert report.revoked is True
    assert report.warning == f"{n1.bundle}: n1 is revoked: nobody accepts it"
    n1.revocations.unlink()
    assert inspect(n1.bundle, clock=clock).revoked is None


def test_the_end_is_announced_thirty_days_before(n1: CertificatePaths, clock: SetClock) -> None:
    clock.move(days=334)
    assert inspect(n1.bundle, clock=clock).warning is None
    clock.move(days=2)
    assert inspect(n1.bundle, clock=clock).warning == (
        f"{n1.bundle}: n1 expires in 29.0 days: renew it with `libelli ca renew n1`"
    )
    clock.move(days=31)
    assert "expired 2.0 days ago" in str(inspect(n1.bundle, clock=clock).warning)


def test_the_way_out_fits_the_kind() -> None:
    assert "libelli ca init" in str(expiry_warning("x", kind="authority", source="ca.pem", left_days=1))
    assert "ask its authority" in str(expiry_warning("x", kind="foreign", source="x.pem", left_days=1))


def test_a_directory_shows_all_its_certificates(authority: Authority, n1: CertificatePaths, clock: SetClock) -> None:
    issue(authority, "alice", Kind.CLIENT)
    reports = inspect_all((authority.home,), clock=clock)
    assert [(report.kind, report.name) for report in reports] == [
        ("authority", "Libelli authority"),
        ("client", "alice"),
        ("peer", "n1"),
        ("authority", "Libelli authority"),
    ]


def test_a_certificate_without_a_key_may_be_readable_by_all(authority: Authority) -> None:
    assert inspect(authority.home / "ca.pem").kind == "authority"


def test_a_key_must_be_private_even_to_be_shown(n1: CertificatePaths) -> None:
    n1.bundle.chmod(0o644)
    with pytest.raises(FileModeError, match="chmod 600"):
        inspect(n1.bundle)


def test_a_foreign_certificate_cannot_steer_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "foreign.pem"
    path.write_bytes(foreign_certificate("evil\x1b[2J"))
    report = inspect(path)
    assert (report.kind, report.name, report.serial) == ("foreign", "evil\\x1b[2J", "7")
    assert report.subject.isprintable()
    assert report.revoked is None


def test_what_holds_no_certificate_is_told(tmp_path: Path, authority: Authority, n1: CertificatePaths) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match=r"holds no \.pem files"):
        inspect_all((tmp_path / "empty",))
    with pytest.raises(FileError, match="No such file"):
        inspect(tmp_path / "missing.pem")
    with pytest.raises(BundleError, match="holds no certificate"):
        inspect(authority.home / "crl.pem")
    n1.bundle.write_bytes(n1.bundle.read_bytes()[:-9])
    with pytest.raises(BundleError, match="is cut off or damaged"):
        inspect(n1.bundle)
