"""Whom a client trusts: its TLS context, and the name that a node's certificate proves.

A bundle is one PEM file: the client's key, its certificate, and the certificate of the authority that signed
both sides. Both sides show a certificate of that authority; host names are not compared, for a node may be
reached under any. Who a node is stands in its certificate as a URI, `libelli://peer/<name>`, and must be the
name of the member that it says it is.
"""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from libelli.core.errors import CertificateError

Certificates = str | Path | ssl.SSLContext | Callable[[], ssl.SSLContext] | None
"""The path of a bundle, a context, what returns one for each connection, or None: plain text, on loopback only."""

PEER_SCHEME = "libelli://peer/"
_BEGIN = "-----BEGIN CERTIFICATE-----"


def bundle_context(path: Path) -> ssl.SSLContext:
    """Returns a context that shows the bundle's certificate and trusts its authority.

    Raises:
        CertificateError: the file cannot be read or is no bundle.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    try:
        # the key is plain; without a password OpenSSL could ask the terminal for one
        context.load_cert_chain(path, password="")
        own, *authorities = path.read_text("ascii").split(_BEGIN)[1:]
        if not own or len(authorities) != 1:
            raise CertificateError(f"{path} holds {1 + len(authorities)} certificates: a bundle has two")
        context.load_verify_locations(cadata=_BEGIN + authorities[0])
    except (OSError, ValueError) as error:
        raise CertificateError(
            f"{path} cannot be used as a bundle ({error}): `libelli ca issue` makes one for a client"
        ) from error
    return context


class Trust:
    """Makes the context of each connection; a bundle that was replaced on disk is read again.

    Args:
        certificates: see `Certificates`.

    Raises:
        CertificateError: the bundle cannot be used.
    """

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = Path(certificates) if isinstance(certificates, str) else certificates
        self._stamp: tuple[int, int] | None = None
        self._context: ssl.SSLContext | None = None
        self.context()

    @property
    def is_plain(self) -> bool:
        """Whether nothing is encrypted."""
        return self._certificates is None

    def context(self) -> ssl.SSLContext | None:
        """Returns the context for a new connection, or None for plain text.

        Raises:
            CertificateError: the bundle cannot be used any more.
        """
        source = self._certificates
        if source is None or isinstance(source, ssl.SSLContext):
            return source
        if not isinstance(source, Path):
            return source()
        try:
            status = source.stat()
        except OSError as error:
            raise CertificateError(f"{source} cannot be read ({error.strerror}): check the path") from error
        stamp = (status.st_mtime_ns, status.st_ino)
        if self._context is None or stamp != self._stamp:
            self._context, self._stamp = bundle_context(source), stamp
        return self._context


def node_name(connection: ssl.SSLObject | ssl.SSLSocket) -> str:
    """Returns the name in a node's certificate, after the handshake.

    Raises:
        CertificateError: it is not the certificate of a node.
    """
    certificate: dict[str, Any] = connection.getpeercert() or {}
    uris = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    if len(uris) != 1 or not uris[0].startswith(PEER_SCHEME):
        found = ", ".join(uris) or "no URI"
        raise CertificateError(f"its certificate names {found}, which is no node of ours: check the address")
    return uris[0].removeprefix(PEER_SCHEME)
