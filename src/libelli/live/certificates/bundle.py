"""A bundle: all that a node or client needs to prove who it is and to check others, in one file.

::

    -----BEGIN PRIVATE KEY-----      the bearer's key
    -----BEGIN CERTIFICATE-----      the bearer's certificate
    -----BEGIN CERTIFICATE-----      the authority's certificate: who signed the one above, and whom to trust

Everything is checked when a bundle is read, so that a damaged or mismatched one is told by its file and line
of remedy, not by a failed handshake on another machine.

Source: RFC 7468 for the text form, RFC 7292 for PKCS#12.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from libelli.live.certificates.clocks import utc_now
from libelli.live.certificates.errors import BundleError, RequestError
from libelli.live.certificates.files import SECRET_MODE, read_secret, write_file
from libelli.live.certificates.identity import UNREADABLE, Identity, identity_of_certificate
from libelli.live.certificates.keys import PrivateKey, decode_key, encode_key

BUNDLE_SIZE_MAX = 64 * 1024
EXPIRY_WARNING_DAYS = 30
PASSWORD_SIZE_MAX = 1024

_BEGIN = b"-----BEGIN "
_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s.*?-----END \1-----", re.DOTALL)


class PemTriple(NamedTuple):
    """A bundle as the credentials of gRPC take it."""

    private_key: bytes
    certificate_chain: bytes
    root_certificates: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """A key, its certificate, and the certificate of the authority that signed it."""

    key: PrivateKey
    certificate: x509.Certificate
    authority: x509.Certificate

    @property
    def identity(self) -> Identity:
        """Who the bearer is."""
        return identity_of_certificate(self.certificate)

    @property
    def pem_triple(self) -> PemTriple:
        """Key, chain and root as PEM, each on its own."""
        return PemTriple(encode_key(self.key), encode_certificate(self.certificate), encode_certificate(self.authority))

    def encode(self) -> bytes:
        """Returns the bundle as one PEM file."""
        return b"".join(self.pem_triple)


def days_left(bundle: Bundle | x509.Certificate, *, now: datetime | None = None) -> float:
    """Returns the days until the certificate expires; negative once it has."""
    certificate = bundle.certificate if isinstance(bundle, Bundle) else bundle
    return (certificate.not_valid_after_utc - (now or utc_now())) / timedelta(days=1)


def require_current(bundle: Bundle, *, source: Path, now: datetime) -> None:
    """Refuses a bundle outside its lifetime.

    Raises:
        BundleError: it is expired or not valid yet.
    """
    certificate = bundle.certificate
    if now >= certificate.not_valid_after_utc:
        raise BundleError(
            f"{source} expired on {certificate.not_valid_after_utc:%Y-%m-%d}: run"
            f" `libelli ca renew {bundle.identity.name}` where the authority is"
        )
    if now < certificate.not_valid_before_utc:
        raise BundleError(
            f"{source} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC, and here it is"
            f" {now:%Y-%m-%d %H:%M}: set this machine's clock"
        )


def load_bundle(path: Path) -> Bundle:
    """Returns the bundle at `path`, checked except for its lifetime.

    Raises:
        FileModeError: others than its owner can read it.
        FileError: it cannot be read.
        BundleError: it is damaged, incomplete, or its parts do not belong together.
        IdentityError: its certificate is not one of ours.
    """
    return decode_bundle(read_secret(path, size_max=BUNDLE_SIZE_MAX), source=str(path))


def decode_bundle(data: bytes, *, source: str) -> Bundle:
    """Returns the bundle in `data`; `source` names it in messages.

    Raises:
        BundleError: it is damaged, incomplete, or its parts do not belong together.
        IdentityError: its certificate is not one of ours.
    """
    blocks = pem_blocks(data, source=source)
    keys = [block for label, block in blocks if label.endswith("PRIVATE KEY")]
    certificates = [block for label, block in blocks if label == "CERTIFICATE"]
    if (len(keys), len(certificates), len(blocks)) != (1, 2, 3):
        raise BundleError(
            f"{source} holds {len(keys)} private keys and {len(certificates)} certificates among {len(blocks)} parts;"
            " a bundle is one key, its certificate and the authority's: issue it again with `libelli ca issue`"
        )
    own, authority = (decode_certificate(block, source=source) for block in certificates)
    bundle = Bundle(decode_key(keys[0], source=source), own, authority)
    _require_consistent(bundle, source=source)
    return bundle


def _require_consistent(bundle: Bundle, *, source: str) -> None:
    if bundle.key.public_key() != bundle.certificate.public_key():
        raise BundleError(f"{source}: the key is not the certificate's: restore the file or issue it again")
    if not is_authority(bundle.authority):
        raise BundleError(f"{source}: its last certificate is not an authority's: restore the file or issue it again")
    require_signed(bundle.authority, by=bundle.authority, source=source)
    require_signed(bundle.certificate, by=bundle.authority, source=source)
    identity_of_certificate(bundle.certificate)


def require_signed(certificate: x509.Certificate, *, by: x509.Certificate, source: str) -> None:
    """Refuses a certificate that `by` did not sign: any damage to what it says shows here.

    Raises:
        BundleError: the signature is not that of `by`.
    """
    try:
        certificate.verify_directly_issued_by(by)
    except (TypeError, InvalidSignature, *UNREADABLE) as error:
        raise BundleError(
            f"{source}: the authority in it did not sign its certificates: restore the file or issue it again"
        ) from error


def pem_blocks(data: bytes, *, source: str) -> list[tuple[str, bytes]]:
    """Returns label and text of each block of a PEM file.

    Raises:
        BundleError: there is none, or one is cut off.
    """
    blocks = [(match[1].decode("ascii"), match[0] + b"\n") for match in _BLOCK.finditer(data)]
    if not blocks and _BEGIN not in data:
        raise BundleError(f"{source} is empty or no PEM file: check the path")
    if len(blocks) != data.count(_BEGIN):
        raise BundleError(f"{source} is cut off or damaged: restore the file or issue it again")
    return blocks


def decode_certificate(block: bytes, *, source: str) -> x509.Certificate:
    """Returns the certificate in one PEM block.

    Raises:
        BundleError: it is damaged.
    """
    try:
        certificate = x509.load_pem_x509_certificate(block)
        certificate.public_key()
        _ = certificate.extensions
    except UNREADABLE as error:
        raise BundleError(f"{source}: a certificate is damaged: restore the file or issue it again") from error
    return certificate


def encode_certificate(certificate: x509.Certificate) -> bytes:
    """Returns the certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def is_authority(certificate: x509.Certificate) -> bool:
    """Returns whether a certificate may sign others."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def write_bundle(bundle: Bundle, path: Path) -> None:
    """Puts a bundle at `path`, for its owner only, in place of what was there.

    Raises:
        FileError: it cannot be written; what was at `path` is as it was.
    """
    write_file(path, bundle.encode(), mode=SECRET_MODE)


def encode_pkcs12(bundle: Bundle, *, password: bytes) -> bytes:
    """Returns the bundle encrypted for sending, as browsers and keychains import it.

    Raises:
        RequestError: the password is empty or longer than 1,024 bytes.
    """
    if not 1 <= len(password) <= PASSWORD_SIZE_MAX:
        raise RequestError(f"a password of {len(password):,} bytes: PKCS#12 wants 1 to {PASSWORD_SIZE_MAX:,}")
    return pkcs12.serialize_key_and_certificates(
        name=bundle.identity.name.encode(),
        key=bundle.key,
        cert=bundle.certificate,
        cas=[bundle.authority],
        encryption_algorithm=serialization.BestAvailableEncryption(password),
    )
