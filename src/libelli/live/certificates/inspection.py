"""What a PEM file says, for people and programs: `libelli ca show`."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from libelli.live.certificates.bundle import (
    BUNDLE_SIZE_MAX,
    EXPIRY_WARNING_DAYS,
    days_left,
    decode_bundle,
    decode_certificate,
    is_authority,
    pem_blocks,
)
from libelli.live.certificates.clocks import Clock, utc_now
from libelli.live.certificates.errors import BundleError, FileError, IdentityError
from libelli.live.certificates.files import read_public, read_secret, stamp_of
from libelli.live.certificates.identity import identity_of_certificate
from libelli.live.certificates.publication import REVOCATIONS_FILE
from libelli.live.certificates.revocations import Revocations, load_revocations

PATHS_MAX = 1_000
_REMEDIES = {
    "peer": "renew it with `libelli ca renew {name}`",
    "client": "renew it with `libelli ca renew {name}`",
    "authority": "make a new one with `libelli ca init` in another directory and issue all bundles from it",
}
_PRIVATE = "PRIVATE KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateReport:
    """One certificate, in words.

    Attributes:
        kind: `peer`, `client`, `authority`, or `foreign` where it is not one of ours.
        addresses: host names and IP addresses.
        serial: hexadecimal.
        days_left: negative once it has expired.
        fingerprint: SHA-256 of the certificate, hexadecimal.
        revoked: None where no list of revocations lies beside it.
    """

    path: str
    kind: str
    name: str
    subject: str
    issuer: str
    addresses: tuple[str, ...]
    serial: str
    not_before: datetime
    not_after: datetime
    days_left: float
    fingerprint: str
    revoked: bool | None

    @property
    def warning(self) -> str | None:
        """What is to be done soon, or None."""
        if self.revoked:
            return f"{self.path}: {self.name} is revoked: nobody accepts it"
        return expiry_warning(self.name, kind=self.kind, source=self.path, left_days=self.days_left)


def expiry_warning(name: str, *, kind: str, source: str, left_days: float) -> str | None:
    """Returns what to say of a certificate that ends within `EXPIRY_WARNING_DAYS`, or None."""
    if left_days > EXPIRY_WARNING_DAYS:
        return None
    when = f"expires in {left_days:.1f} days" if left_days > 0 else f"expired {-left_days:.1f} days ago"
    return f"{source}: {name} {when}: {_REMEDIES.get(kind, 'ask its authority for a new one').format(name=name)}"


def inspect(path: Path, *, clock: Clock = utc_now) -> CertificateReport:
    """Returns what the first certificate in a PEM file says.

    A file with a private key is checked as a whole; one without may be any certificate.

    Raises:
        FileModeError: it has a private key that others than its owner can read.
        FileError: it cannot be read.
        BundleError: it is damaged or holds no certificate.
    """
    data = read_public(path, size_max=BUNDLE_SIZE_MAX)
    blocks = pem_blocks(data, source=str(path))
    if any(label.endswith(_PRIVATE) for label, _ in blocks):
        data = read_secret(path, size_max=BUNDLE_SIZE_MAX)
    certificates = [decode_certificate(block, source=str(path)) for label, block in blocks if label == "CERTIFICATE"]
    if not certificates:
        raise BundleError(f"{path} holds no certificate: check the path")
    if len(blocks) > 2:
        decode_bundle(data, source=str(path))
    return _report(path, certificates[0], issuer=certificates[-1], now=clock())


def inspect_all(paths: tuple[Path, ...], *, clock: Clock = utc_now) -> tuple[CertificateReport, ...]:
    """Returns the reports of all files, and of the bundles and certificates in all directories.

    Raises:
        CertificateError: one of them cannot be inspected.
    """
    files = [file for path in paths for file in (_pem_files(path) if path.is_dir() else (path,))]
    if len(files) > PATHS_MAX:
        raise FileError(f"{len(files):,} files are more than {PATHS_MAX:,}: show them in parts")
    return tuple(inspect(file, clock=clock) for file in files)


def _pem_files(directory: Path) -> tuple[Path, ...]:
    files = tuple(sorted(path for path in directory.rglob("*.pem") if path.name != REVOCATIONS_FILE))
    if not files:
        raise FileError(f"{directory} holds no .pem files: check the path")
    return files


def _report(path: Path, certificate: x509.Certificate, *, issuer: x509.Certificate, now: datetime) -> CertificateReport:
    kind, name = _kind_and_name(certificate)
    return CertificateReport(
        path=str(path),
        kind=kind,
        name=name,
        subject=printable(certificate.subject.rfc4514_string()),
        issuer=printable(certificate.issuer.rfc4514_string()),
        addresses=_addresses(certificate),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        days_left=days_left(certificate, now=now),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(),
        revoked=_is_revoked(path, certificate, issuer),
    )


def _kind_and_name(certificate: x509.Certificate) -> tuple[str, str]:
    try:
        identity = identity_of_certificate(certificate)
        return str(identity.kind), identity.name
    except IdentityError:
        names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        name = printable(str(names[0].value)) if names else ""
        return ("authority" if is_authority(certificate) else "foreign"), name


def _addresses(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    hosts = names.get_values_for_type(x509.DNSName)
    return tuple(printable(str(name)) for name in (*hosts, *names.get_values_for_type(x509.IPAddress)))


def _is_revoked(path: Path, certificate: x509.Certificate, issuer: x509.Certificate) -> bool | None:
    revocations = _revocations_beside(path, issuer)
    return None if revocations is None else certificate.serial_number in revocations.serials


def _revocations_beside(path: Path, issuer: x509.Certificate) -> Revocations | None:
    beside = path.with_name(REVOCATIONS_FILE)
    if stamp_of(beside) is None or not is_authority(issuer):
        return None
    return load_revocations(beside, authority=issuer)


def printable(text: str) -> str:
    """Returns `text` with control characters escaped: a foreign certificate must not steer the terminal."""
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in text)
