"""What an authority issues, renews and revokes, and what it refuses."""

import json
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from libelli.live.certificates import (
    Authority,
    AuthorityError,
    BundleError,
    FileError,
    IssueRequest,
    KeyKind,
    Kind,
    Reason,
    RequestError,
    Subject,
    identity_of_certificate,
    load_bundle,
    load_revocations,
)
from libelli.live.certificates.keys import kind_of_key
from tests.live.certificates.handshakes import SetClock, issue, new_authority


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def authority(tmp_path: Path, clock: SetClock) -> Authority:
    return new_authority(tmp_path / "ca", clock)


Value = TypeVar("Value", bound=x509.ExtensionType)


def extension(certificate: x509.Certificate | x509.RevokedCertificate, kind: type[Value]) -> Value:
    return certificate.extensions.get_extension_for_class(kind).value


def crl_at(path: Path) -> x509.CertificateRevocationList:
    return x509.load_pem_x509_crl(path.read_bytes())


def test_an_authority_can_sign_bearers_and_nothing_below_them(authority: Authority, clock: SetClock) -> None:
    certificate = authority.certificate
    constraints = extension(certificate, x509.BasicConstraints)
    usage = extension(certificate, x509.KeyUsage)
    assert (constraints.ca, constraints.path_length) == (True, 0)
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)
    assert certificate.not_valid_after_utc - clock.now.replace(microsecond=0) == timedelta(days=3650)
    certificate.verify_directly_issued_by(certificate)


def test_a_peer_serves_and_calls_under_all_its_names(authority: Authority) -> None:
    path = authority.issue(
        IssueRequest(name="n1", kind=Kind.PEER, addresses=("N1.example.org", "::0001", "10.0.0.7", "10.0.0.7"))
    ).path
    certificate = load_bundle(path).certificate
    names = extension(certificate, x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["libelli://peer/n1"]
    assert names.get_values_for_type(x509.DNSName) == ["n1", "n1.example.org"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["::1", "10.0.0.7"]
    assert set(extension(certificate, x509.ExtendedKeyUsage)) == {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    }
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "n1"
    assert not extension(certificate, x509.BasicConstraints).ca


def test_a_client_only_calls(authority: Authority) -> None:
    certificate = load_bundle(issue(authority, "alice", Kind.CLIENT).bundle).certificate
    assert list(extension(certificate, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    names = extension(certificate, x509.SubjectAlternativeName)
    assert [name.value for name in names] == ["libelli://client/alice"]


def test_empty_subject_fields_come_from_the_authority(authority: Authority) -> None:
    request = IssueRequest(name="n2", kind=Kind.PEER, subject=Subject(country="fr", locality="Paris"))
    subject = authority.issue(request).bundle.certificate.subject
    assert subject.rfc4514_string() == "CN=n2,O=My P2P Network,L=Paris,C=FR"


def test_serial_numbers_are_positive_large_and_all_different(authority: Authority) -> None:
    serials = [
        int(authority.issue(IssueRequest(name=f"c{n}", kind=Kind.CLIENT)).bundle.identity.serial) for n in range(20)
    ]
    assert len(set(serials)) == 20
    assert all(0 < serial < 1 << 159 for serial in serials)
    assert max(serials) > 1 << 150


def test_what_is_issued_stands_in_the_index_before_it_is_handed_out(authority: Authority) -> None:
    path = issue(authority, "n1").bundle
    record = json.loads((authority.home / "index.jsonl").read_text())
    assert record["serial"] == f"{load_bundle(path).identity.serial:x}"
    assert (record["event"], record["name"], record["kind"]) == ("issued", "n1", "peer")
    assert record["addresses"] == ["127.0.0.1"]
    assert record["bundle"] == "bundles/n1.pem"


def test_an_opened_authority_goes_on_where_it_was(authority: Authority) -> None:
    issue(authority, "n1")
    again = Authority.open(authority.home)
    assert [entry.issued.name for entry in again.entries()] == ["n1"]
    assert load_bundle(issue(again, "n2").bundle).authority == authority.certificate


def test_an_authority_is_never_overwritten(authority: Authority) -> None:
    before = (authority.home / "authority.pem").read_bytes()
    with pytest.raises(AuthorityError, match=r"already holds an authority: .*move .* away"):
        new_authority(authority.home)
    assert (authority.home / "authority.pem").read_bytes() == before


def test_an_authority_without_its_key_is_not_started_over(authority: Authority) -> None:
    issue(authority, "n1")
    (authority.home / "authority.pem").unlink()
    with pytest.raises(AuthorityError, match=r"authority.pem is gone: restore it"):
        new_authority(authority.home)
    with pytest.raises(AuthorityError, match=r"holds no authority: .*libelli ca init"):
        Authority.open(authority.home)


def test_an_authority_whose_making_was_cut_short_is_made_again(authority: Authority) -> None:
    (authority.home / "authority.pem").unlink()  # it is written last
    new_authority(authority.home)
    assert (
        load_revocations(authority.home / "crl.pem", authority=Authority.open(authority.home).certificate).number == 0
    )


def test_a_name_in_use_is_not_issued_twice(authority: Authority, clock: SetClock) -> None:
    path = issue(authority, "n1").bundle
    with pytest.raises(AuthorityError, match=r"peer n1 has a certificate until .*libelli ca renew n1"):
        issue(authority, "N1", Kind.CLIENT)
    clock.move(days=366)
    with pytest.raises(AuthorityError, match=r"n1.pem exists: move it away"):
        issue(authority, "n1")
    path.unlink()
    assert issue(authority, "n1").bundle == path


def test_renewing_keeps_the_names_and_changes_key_and_serial(authority: Authority, clock: SetClock) -> None:
    first = authority.issue(
        IssueRequest(name="n1", kind=Kind.PEER, addresses=("10.0.0.7",), days=90, key=KeyKind.RSA2048)
    )
    clock.move(days=80)
    second = authority.renew("n1")
    assert second.path == first.path
    assert load_bundle(second.path).certificate == second.bundle.certificate
    one, two = first.bundle.certificate, second.bundle.certificate
    assert two.subject == one.subject
    assert extension(two, x509.SubjectAlternativeName) == extension(one, x509.SubjectAlternativeName)
    assert two.not_valid_after_utc - one.not_valid_after_utc == timedelta(days=80)
    assert two.serial_number != one.serial_number
    assert two.public_key() != one.public_key()
    assert kind_of_key(second.bundle.key) is KeyKind.RSA2048


def test_renewing_can_add_addresses(authority: Authority) -> None:
    issue(authority, "n1", addresses=("10.0.0.7",))
    names = extension(authority.renew("n1", addresses=("10.0.0.8",)).bundle.certificate, x509.SubjectAlternativeName)
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7", "10.0.0.8"]


def test_renewing_writes_where_the_bundle_was(authority: Authority, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    authority.issue(IssueRequest(name="n1", kind=Kind.PEER), directory=elsewhere)
    assert authority.renew("n1").path == elsewhere.resolve() / "n1.pem"
    assert (elsewhere / "crl.pem").read_bytes() == (authority.home / "crl.pem").read_bytes()


def test_the_unknown_and_the_revoked_are_not_renewed(authority: Authority) -> None:
    with pytest.raises(AuthorityError, match=r"'n9' was never issued here"):
        authority.renew("n9")
    issue(authority, "n1")
    authority.revoke("n1")
    with pytest.raises(AuthorityError, match=r"n1 is revoked: admit it anew"):
        authority.renew("n1")


def test_nothing_outlives_the_authority(authority: Authority, clock: SetClock) -> None:
    clock.move(days=3650 - 100)
    with pytest.raises(RequestError, match=r"101 days would outlive the authority, .* at most 100"):
        authority.issue(IssueRequest(name="n1", kind=Kind.PEER, days=101))
    bundle = authority.issue(IssueRequest(name="n1", kind=Kind.PEER)).bundle
    assert bundle.certificate.not_valid_after_utc == authority.certificate.not_valid_after_utc
    clock.move(days=99.5)
    with pytest.raises(AuthorityError, match=r"too soon to issue anything: make a new one"):
        issue(authority, "n2")


def test_revoking_a_name_revokes_all_its_certificates(authority: Authority) -> None:
    one = load_bundle(issue(authority, "n1").bundle).identity.serial
    two = authority.renew("n1").bundle.identity.serial
    done = authority.revoke("n1", reason=Reason.KEY_COMPROMISE)
    assert set(done.serials) == {f"{one:x}", f"{two:x}"}
    crl = crl_at(authority.home / "crl.pem")
    assert {entry.serial_number for entry in crl} == {one, two}
    assert {extension(entry, x509.CRLReason).reason for entry in crl} == {x509.ReasonFlags.key_compromise}


def test_revoking_a_serial_number_leaves_the_renewed_certificate_alone(authority: Authority) -> None:
    old = load_bundle(issue(authority, "n1").bundle).identity.serial
    authority.renew("n1")
    written_by_openssl = ":".join(f"{old:040X}"[n : n + 2] for n in range(0, 40, 2))
    assert authority.revoke(written_by_openssl).serials == (f"{old:x}",)
    assert authority.find("n1").revoked is None  # type: ignore[union-attr]


def test_a_list_of_revocations_holds_as_long_as_the_authority(authority: Authority) -> None:
    crl = crl_at(authority.home / "crl.pem")
    assert crl.next_update_utc == authority.certificate.not_valid_after_utc
    assert crl.is_signature_valid(authority.certificate.public_key())  # type: ignore[arg-type]


def test_revoking_again_only_writes_the_lists_again(authority: Authority) -> None:
    paths = issue(authority, "n1")
    authority.revoke("n1")
    first = paths.revocations.read_bytes()
    paths.revocations.unlink()
    again = authority.revoke("n1")
    assert again.serials == ()
    assert again.publication.paths == (authority.home / "crl.pem", paths.revocations)
    assert paths.revocations.read_bytes() == first


def test_revoking_says_where_the_list_could_not_go(authority: Authority, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    authority.issue(IssueRequest(name="n1", kind=Kind.PEER), directory=elsewhere)
    other = new_authority(tmp_path / "other")
    (elsewhere / "crl.pem").write_bytes((other.home / "crl.pem").read_bytes())
    (missed,) = authority.revoke("n1").publication.missed
    assert "signed by another authority" in missed
    assert load_revocations(elsewhere / "crl.pem", authority=other.certificate).number == 0


def test_nothing_is_issued_into_the_directory_of_another_authority(authority: Authority, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    new_authority(tmp_path / "other").issue(IssueRequest(name="n1", kind=Kind.PEER), directory=elsewhere)
    with pytest.raises(FileError, match="signed by another authority"):
        authority.issue(IssueRequest(name="n2", kind=Kind.PEER), directory=elsewhere)
    assert authority.entries() == ()


def test_an_unknown_name_or_serial_is_not_revoked(authority: Authority) -> None:
    with pytest.raises(AuthorityError, match=r"no certificate has the name or serial number 'ffff'"):
        authority.revoke("ffff")


def test_a_revoked_name_can_be_admitted_anew(authority: Authority) -> None:
    before = load_bundle(issue(authority, "n1").bundle)
    authority.revoke("n1")
    assert load_bundle(issue(authority, "n1").bundle).certificate != before.certificate  # in the same place
    assert authority.find("n1").revoked is None  # type: ignore[union-attr]
    assert load_revocations(authority.home / "crl.pem", authority=authority.certificate).number == 1


def test_a_revocation_that_was_cut_short_is_published_by_the_next_command(authority: Authority) -> None:
    before = (authority.home / "crl.pem").read_bytes()
    issue(authority, "n1")
    authority.revoke("n1")
    (authority.home / "crl.pem").write_bytes(before)  # the index knew, the list did not
    paths = issue(authority, "n2")
    assert load_revocations(paths.revocations, authority=authority.certificate).number == 1


def test_an_old_copy_of_the_index_is_noticed(authority: Authority) -> None:
    issue(authority, "n1")
    index = authority.home / "index.jsonl"
    before = index.read_bytes()
    authority.revoke("n1")
    index.write_bytes(before)
    with pytest.raises(AuthorityError, match=r"1 revocations and the index only 0: .*restore the newest"):
        issue(authority, "n2")


def test_a_torn_last_line_is_cut_and_a_damaged_line_refused(authority: Authority) -> None:
    issue(authority, "n1")
    index = authority.home / "index.jsonl"
    with index.open("ab") as file:
        file.write(b'{"event":"issued","ser')
    issue(authority, "n2")
    assert [entry.issued.name for entry in authority.entries()] == ["n1", "n2"]
    index.write_bytes(index.read_bytes().replace(b'"kind":"peer"', b'"kind":"pear"', 1))
    with pytest.raises(AuthorityError, match=r"index.jsonl, line 1 is damaged .*restore"):
        issue(authority, "n3")


@pytest.mark.parametrize("left_bytes", [0, 60, 300, 500])
def test_a_damaged_key_of_the_authority_is_told(authority: Authority, left_bytes: int) -> None:
    path = authority.home / "authority.pem"
    path.write_bytes(path.read_bytes()[:left_bytes])
    with pytest.raises(BundleError, match=r"authority\.pem"):
        Authority.open(authority.home)


def test_key_and_certificate_of_two_authorities_do_not_mix(authority: Authority, tmp_path: Path) -> None:
    other = new_authority(tmp_path / "other")
    path = authority.home / "authority.pem"
    key = path.read_bytes().partition(b"-----BEGIN CERTIFICATE")[0]
    path.write_bytes(key + (other.home / "ca.pem").read_bytes())
    with pytest.raises(BundleError, match="do not belong together"):
        Authority.open(authority.home)


def test_the_identity_says_kind_name_and_serial(authority: Authority) -> None:
    certificate = load_bundle(issue(authority, "n1").bundle).certificate
    identity = identity_of_certificate(certificate)
    assert str(identity) == "peer n1"
    assert identity.serial == certificate.serial_number
