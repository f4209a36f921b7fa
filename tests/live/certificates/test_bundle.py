"""A bundle is whole, its parts belong together, or it is refused with a reason."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import pkcs12

from libelli.core.errors import CertificateError
from libelli.live.certificates import (
    Bundle,
    BundleError,
    IdentityError,
    Kind,
    RequestError,
    days_left,
    decode_bundle,
    encode_pkcs12,
    identity_of_pem,
    load_bundle,
)
from tests.live.certificates.handshakes import SetClock, issue, new_authority

FLIPS = 300


@pytest.fixture
def whole(tmp_path: Path) -> Bundle:
    return load_bundle(issue(new_authority(tmp_path / "ca"), "n1").bundle)


def encrypted(bundle: Bundle) -> bytes:
    return bundle.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )


def test_a_bundle_reads_back_as_it_was_written(whole: Bundle) -> None:
    again = decode_bundle(whole.encode(), source="n1.pem")
    assert again.encode() == whole.encode()
    assert again.pem_triple == whole.pem_triple
    assert b"".join(whole.pem_triple) == whole.encode()


def test_text_around_the_parts_and_foreign_line_ends_do_no_harm(whole: Bundle) -> None:
    data = b"subject: n1\r\n" + whole.encode().replace(b"\n", b"\r\n") + b"\r\nend\r\n"
    assert decode_bundle(data, source="n1.pem").certificate == whole.certificate


def test_a_bundle_cut_anywhere_is_refused(whole: Bundle) -> None:
    data = whole.encode().rstrip()
    for left_bytes in range(0, len(data), 7):
        with pytest.raises(BundleError, match=r"^n1\.pem"):
            decode_bundle(data[:left_bytes], source="n1.pem")


@pytest.mark.filterwarnings("ignore:Parsed a serial number")  # the bit was its sign; then the signature fails
def test_a_bundle_with_any_bit_flipped_is_refused_or_says_the_same(whole: Bundle, seed: int) -> None:
    """Some bits say nothing: in a line end, or in the count of unused bits behind a signature."""
    dice = random.Random(seed)
    data = whole.encode()
    for _ in range(FLIPS):
        flipped = bytearray(data)
        flipped[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        try:
            survivor = decode_bundle(bytes(flipped), source="n1.pem")
        except CertificateError:
            continue
        assert said_by(survivor) == said_by(whole)


def said_by(bundle: Bundle) -> tuple[bytes, bytes, bytes]:
    """The key, and all that the signatures stand for."""
    return (
        bundle.pem_triple.private_key,
        bundle.certificate.tbs_certificate_bytes,
        bundle.authority.tbs_certificate_bytes,
    )


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ("", "is empty or no PEM file"),
        ("k", "1 private keys and 0 certificates"),
        ("c", "0 private keys and 1 certificates"),
        ("kc", "1 private keys and 1 certificates"),
        ("kcca", "1 private keys and 3 certificates"),
        ("kkca", "2 private keys and 2 certificates"),
        ("kac", "the key is not the certificate's"),
        ("kcc", "is not an authority's"),
        ("Kca", "the key is not the certificate's"),
        ("kcA", "did not sign its certificates"),
        ("eca", "the private key is encrypted, and a node has nobody to ask"),
        ("xca", "use one of p256, rsa2048, rsa3072"),
    ],
)
def test_parts_that_do_not_belong_together_are_told(tmp_path: Path, whole: Bundle, parts: str, words: str) -> None:
    other = load_bundle(issue(new_authority(tmp_path / "other"), "n1").bundle)
    foreign = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    known = dict(zip("kca", whole.pem_triple, strict=True)) | dict(zip("KCA", other.pem_triple, strict=True))
    known |= {"e": encrypted(whole), "x": foreign}
    with pytest.raises(BundleError, match=words):
        decode_bundle(b"".join(known[part] for part in parts), source="n1.pem")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "n1.pem"
    for content in (b"\x00" * 1000, b"hello", bytes(range(256))):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(BundleError, match="is empty or no PEM file"):
            load_bundle(path)


def test_pkcs12_opens_with_its_password_only(whole: Bundle) -> None:
    data = encode_pkcs12(whole, password=b"correct horse")
    key, certificate, others = pkcs12.load_key_and_certificates(data, b"correct horse")
    assert key is not None
    assert key.public_key() == whole.key.public_key()
    assert (certificate, others) == (whole.certificate, [whole.authority])
    for wrong in (b"correct horsf", b"", None):
        with pytest.raises(ValueError, match=r"(?i)password|mac"):
            pkcs12.load_key_and_certificates(data, wrong)


@pytest.mark.parametrize("password", [b"", b"x" * 1025])
def test_pkcs12_wants_a_password_of_sensible_size(whole: Bundle, password: bytes) -> None:
    with pytest.raises(RequestError, match=r"PKCS#12 wants 1 to 1,024"):
        encode_pkcs12(whole, password=password)


def test_days_left_are_counted_from_the_given_moment(whole: Bundle) -> None:
    end = whole.certificate.not_valid_after_utc
    assert days_left(whole, now=end - timedelta(days=1, hours=12)) == 1.5
    assert days_left(whole.certificate, now=end + timedelta(days=2)) == -2
    assert days_left(whole) < (end - datetime(2020, 1, 1, tzinfo=UTC)) / timedelta(days=1)


def test_a_certificate_in_pem_says_who_it_is_for(tmp_path: Path) -> None:
    alice = load_bundle(issue(new_authority(tmp_path / "ca", SetClock()), "alice", Kind.CLIENT).bundle)
    assert str(identity_of_pem(alice.pem_triple.certificate_chain)) == "client alice"
    with pytest.raises(IdentityError, match="no URI name instead of one libelli://peer"):
        identity_of_pem(alice.pem_triple.root_certificates)
