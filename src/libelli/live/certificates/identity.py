"""Who is on the other side of a connection, as its certificate says.

TLS proves that the other side holds the key of a certificate of our authority. Which node or client that is
stands in one URI name: `libelli://peer/n1`, `libelli://client/alice`. A node asks for it once a connection:

    handshake          chain, lifetime, revocation, usage          libelli.live.certificates.contexts
    require_identity   kind, and for a peer that we dialled, name  here

Host names say where somebody is reached, the URI says who it is; only the second is used to let somebody in.

Source: SPIFFE X.509-SVID, section 2: exactly one URI name.
"""

import re
import ssl
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtendedKeyUsageOID

from libelli.live.certificates.errors import IdentityError
from libelli.live.certificates.subjects import NAME_SIZE_MAX, Kind, shown

SCHEME = "libelli"
UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What reading a damaged certificate raises, at once or when its extensions are asked for."""
_URI = re.compile(rf"{SCHEME}://(peer|client)/([A-Za-z0-9._-]{{1,{NAME_SIZE_MAX}}})")


@dataclass(frozen=True, slots=True)
class Identity:
    """The bearer of a certificate.

    Attributes:
        kind: what it may be.
        name: which one it is.
        serial: of the certificate it showed; two identities are equal without it.
    """

    kind: Kind
    name: str
    serial: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def uri_of(*, kind: Kind, name: str) -> str:
    """Returns the URI name that stands for a bearer."""
    return f"{SCHEME}://{kind}/{name}"


def identity_of(connection: ssl.SSLObject | ssl.SSLSocket) -> Identity:
    """Returns who is on the other side, after the handshake.

    Raises:
        IdentityError: it showed no certificate, or one that is not of ours; close the connection.
    """
    try:
        encoded = connection.getpeercert(binary_form=True)
    except ValueError as error:
        raise IdentityError("the handshake is not done, so nobody is known yet: complete it first") from error
    if encoded is None:
        raise IdentityError("the other side showed no certificate: both sides must, so it is not one of ours")
    return identity_of_certificate(_decode(encoded))


def identity_of_pem(data: bytes) -> Identity:
    """Returns who a certificate in PEM is for, as gRPC hands it over (`x509_pem_cert`).

    Raises:
        IdentityError: it is no certificate of ours.
    """
    try:
        certificate = x509.load_pem_x509_certificate(data)
    except UNREADABLE as error:
        raise IdentityError(f"no certificate ({error})") from error
    return identity_of_certificate(certificate)


def identity_of_certificate(certificate: x509.Certificate) -> Identity:
    """Returns who `certificate` is for; that it can be trusted was checked before.

    Raises:
        IdentityError: it has no identity of ours, several, or a usage that does not fit its kind.
    """
    kind, name = _kind_and_name(certificate)
    if (ExtendedKeyUsageOID.SERVER_AUTH in _usages(certificate)) != (kind is Kind.PEER):
        raise IdentityError(f"the certificate of {kind} {name} has the usages of another kind: issue it again")
    return Identity(kind, name, certificate.serial_number)


def require_identity(
    connection: ssl.SSLObject | ssl.SSLSocket, *, kind: Kind | None = None, name: str | None = None
) -> Identity:
    """Returns who is on the other side, if it is who was expected.

    Args:
        connection: after the handshake.
        kind: the only kind that may speak here; None means both.
        name: the only bearer that may; None means any.

    Raises:
        IdentityError: it is somebody else; close the connection.
    """
    return require_expected(identity_of(connection), kind=kind, name=name)


def require_expected(identity: Identity, *, kind: Kind | None, name: str | None) -> Identity:
    """Returns `identity`, if it is who was expected.

    Raises:
        IdentityError: it is somebody else.
    """
    if kind is not None and identity.kind is not kind:
        raise IdentityError(
            f"{identity} showed the certificate of a {identity.kind} where only a {kind} may speak: give it a bundle"
            f" issued with `--kind {kind}`"
        )
    if name is not None and identity.name != name:
        raise IdentityError(
            f"expected {name} and met {identity}: the address belongs to another, or it has the wrong bundle"
        )
    return identity


def _decode(encoded: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(encoded)
    except UNREADABLE as error:
        raise IdentityError(f"the other side's certificate cannot be read ({error})") from error


def _kind_and_name(certificate: x509.Certificate) -> tuple[Kind, str]:
    uris = _uris(certificate)
    match = _URI.fullmatch(uris[0]) if len(uris) == 1 else None
    if match is None:
        found = ", ".join(shown(uri) for uri in uris) or "no URI name"
        raise IdentityError(
            f"a certificate with {found} instead of one {SCHEME}://peer/… or {SCHEME}://client/…: it is not one of"
            " ours; `libelli ca issue` makes them"
        )
    return Kind(match[1]), match[2]


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)


def _usages(certificate: x509.Certificate) -> list[x509.ObjectIdentifier]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except (x509.ExtensionNotFound, *UNREADABLE):
        return []
