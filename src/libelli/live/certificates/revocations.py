"""The signed list of certificates that are not to be trusted any more (`crl.pem`).

The list is valid until the authority itself ends. A list with a date in the near future would be the safer
choice where somebody signs a new one every night; here nobody does, and on the morning after its date every
handshake of the cluster would fail, for want of news that nobody was asked to write. The price: a node that
never gets the new file keeps trusting what is on it. So `libelli ca revoke` says where the file must go.

Each list has a number, one higher than the last, so that an old copy never takes the place of a newer one.

Source: RFC 5280, section 5 (5.1.2.5 next update, 5.2.3 number, 5.3.1 reasons).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from libelli.live.certificates.errors import BundleError
from libelli.live.certificates.files import read_public
from libelli.live.certificates.identity import UNREADABLE
from libelli.live.certificates.index import Revoked
from libelli.live.certificates.profiles import BACKDATING, Signer, authority_identifier
from libelli.live.certificates.subjects import Reason

REVOCATIONS_SIZE_MAX = 8 * 1024 * 1024
"""About 150,000 revocations."""


_FLAGS = {
    Reason.KEY_COMPROMISE: x509.ReasonFlags.key_compromise,
    Reason.AFFILIATION_CHANGED: x509.ReasonFlags.affiliation_changed,
    Reason.SUPERSEDED: x509.ReasonFlags.superseded,
    Reason.CESSATION_OF_OPERATION: x509.ReasonFlags.cessation_of_operation,
    Reason.PRIVILEGE_WITHDRAWN: x509.ReasonFlags.privilege_withdrawn,
}


@dataclass(frozen=True, slots=True)
class Revocations:
    """A list of revocations whose signature was checked.

    Attributes:
        number: higher than that of every earlier list of this authority.
        serials: the certificates on it.
        next_update: until when handshakes accept it.
    """

    number: int
    serials: frozenset[int]
    next_update: datetime


def sign_revocations(signer: Signer, revoked: Iterable[Revoked], *, number: int, now: datetime) -> bytes:
    """Returns the list of `revoked` as PEM, signed by the authority."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(signer.certificate.subject)
        .last_update(now.replace(microsecond=0) - BACKDATING)
        .next_update(signer.certificate.not_valid_after_utc)
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(authority_identifier(signer), critical=False)
    )
    for record in revoked:
        builder = builder.add_revoked_certificate(_revoked_certificate(record))
    return builder.sign(signer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _revoked_certificate(record: Revoked) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder()
        .serial_number(int(record.serial, 16))
        .revocation_date(record.at.replace(microsecond=0))
    )
    flag = _FLAGS.get(record.reason)
    if flag is not None:  # RFC 5280 5.3.1: "unspecified" is said by leaving the reason away
        builder = builder.add_extension(x509.CRLReason(flag), critical=False)
    return builder.build()


def load_revocations(path: Path, *, authority: x509.Certificate) -> Revocations:
    """Returns the list at `path`.

    Args:
        path: `crl.pem`.
        authority: whose signature it must bear.

    Raises:
        FileError: it cannot be read.
        BundleError: it is damaged, or another authority signed it.
    """
    data = read_public(path, size_max=REVOCATIONS_SIZE_MAX)
    try:
        crl = x509.load_pem_x509_crl(data)
        serials = revoked_serials(crl)
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except (x509.ExtensionNotFound, *UNREADABLE) as error:
        raise BundleError(f"{path} is damaged: copy it again from the authority's directory") from error
    key = authority.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey) or not crl.is_signature_valid(key):
        raise BundleError(f"{path} is signed by another authority than the certificate: copy it from the right one")
    next_update = crl.next_update_utc
    if next_update is None:
        raise BundleError(f"{path} does not say until when it holds: `libelli ca revoke` writes one that does")
    return Revocations(number, serials, next_update)


def revoked_serials(crl: x509.CertificateRevocationList) -> frozenset[int]:
    """Returns the serial numbers on a list, for doors that do not check it by themselves, such as gRPC."""
    return frozenset(entry.serial_number for entry in crl)
