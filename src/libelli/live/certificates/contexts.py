"""TLS as nodes and clients of a cluster speak it: both sides show a certificate, version 1.3, no exceptions.

What a handshake checks, before anybody asks who is there (`identity`):

    chain        signed by the authority in the own bundle
    lifetime     of both certificates, by this machine's clock
    usage        a server's has serverAuth, a caller's clientAuth
    revocation   where `crl.pem` lies beside the bundle

Sessions are never resumed: a resumed handshake skips the certificate, and so would let in somebody who was
revoked a minute ago. Connections are few and long, so nothing is lost.

Source: RFC 8446, sections 2.2 (resumption) and 4.4.2 (certificates); RFC 5280, section 6.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives import serialization

from libelli.live.certificates.bundle import Bundle, load_bundle, require_current
from libelli.live.certificates.clocks import Clock, utc_now
from libelli.live.certificates.errors import BundleError
from libelli.live.certificates.files import Stamp, stamp_of
from libelli.live.certificates.publication import REVOCATIONS_FILE
from libelli.live.certificates.revocations import Revocations, load_revocations

READS_MAX = 5
"""How often files are read anew when they are replaced while they are being read."""


@dataclass(frozen=True, slots=True)
class CertificatePaths:
    """The files that a node or client needs.

    Attributes:
        bundle: key, certificate and authority in one.
        revocations: the list of revocations; it may be missing.
    """

    bundle: Path
    revocations: Path

    @classmethod
    def of(cls, bundle: Path) -> Self:
        """Returns the paths of a bundle with `crl.pem` beside it."""
        return cls(bundle, bundle.with_name(REVOCATIONS_FILE))

    def stamps(self) -> tuple[Stamp | None, Stamp | None]:
        """Returns what tells whether the files have changed."""
        return stamp_of(self.bundle), stamp_of(self.revocations)


@dataclass(frozen=True, slots=True)
class Material:
    """What was read from the files, and the contexts made of exactly that."""

    stamps: tuple[Stamp | None, Stamp | None]
    bundle: Bundle
    revocations: Revocations | None
    server: ssl.SSLContext
    client: ssl.SSLContext


def server_context(paths: CertificatePaths, *, clock: Clock = utc_now) -> ssl.SSLContext:
    """Returns a context that accepts callers with a certificate of the same authority.

    It never changes; a node that runs for long takes `CertificateWatch.server_context`. Both let a revoked caller
    finish the handshake: `CertificateWatch.admit` refuses it.

    Raises:
        CertificateError: a file is missing, damaged, expired, or readable by others.
    """
    return load_material(paths, clock=clock).server


def client_context(paths: CertificatePaths, *, check_hostname: bool = False, clock: Clock = utc_now) -> ssl.SSLContext:
    """Returns a context that calls servers with a certificate of the same authority.

    Args:
        paths: the caller's own files.
        check_hostname: refuse a server whose certificate lacks the host name or IP address (or the peer's name)
            that is given as `server_hostname`. Without it, call `require_identity` after the handshake.
        clock: tells whether the own certificate is expired.

    Raises:
        CertificateError: a file is missing, damaged, expired, or readable by others.
    """
    context = load_material(paths, clock=clock).client
    context.check_hostname = check_hostname
    return context


def load_material(paths: CertificatePaths, *, clock: Clock = utc_now) -> Material:
    """Reads the files and makes both contexts, or fails without having made either.

    OpenSSL takes certificates and lists only by their path, after we have checked them. Their stamps are
    compared afterwards, so what was checked is what was loaded.

    Raises:
        CertificateError: a file is missing, damaged, expired, or readable by others.
    """
    for _ in range(READS_MAX):
        stamps = paths.stamps()
        material = _load(paths, stamps, clock)
        if paths.stamps() == stamps:
            return material
    raise BundleError(f"{paths.bundle} changes all the time while it is being read: write it once, with a rename")


def _load(paths: CertificatePaths, stamps: tuple[Stamp | None, Stamp | None], clock: Clock) -> Material:
    bundle = load_bundle(paths.bundle)
    require_current(bundle, source=paths.bundle, now=clock())
    revocations = None
    if stamps[1] is not None:
        revocations = load_revocations(paths.revocations, authority=bundle.authority)
        _require_in_force(revocations, paths, clock)
    try:
        server = _context(ssl.PROTOCOL_TLS_SERVER, paths, bundle, revocations)
        client = _context(ssl.PROTOCOL_TLS_CLIENT, paths, bundle, revocations)
    except (ssl.SSLError, OSError) as error:
        raise BundleError(f"{paths.bundle} cannot be used for TLS ({error}): issue it again") from error
    return Material(stamps, bundle, revocations, server, client)


def _require_in_force(revocations: Revocations, paths: CertificatePaths, clock: Clock) -> None:
    if clock() >= revocations.next_update:
        raise BundleError(
            f"{paths.revocations} held until {revocations.next_update:%Y-%m-%d}, and every handshake would fail by it:"
            " copy a newer one from the authority"
        )


def bare_context(protocol: int) -> ssl.SSLContext:
    """Returns a context with our rules and no certificates: every handshake fails until it has some."""
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # names are checked by `require_identity`; see `client_context`
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.num_tickets = 0  # no resumption
    return context


def _context(protocol: int, paths: CertificatePaths, bundle: Bundle, revocations: Revocations | None) -> ssl.SSLContext:
    context = bare_context(protocol)
    # the password is never used, as the key is plain; without it OpenSSL could ask the terminal for one
    context.load_cert_chain(paths.bundle, password="")
    context.load_verify_locations(cadata=bundle.authority.public_bytes(serialization.Encoding.DER))
    # A caller that is revoked is refused after the handshake (`CertificateWatch.admit`), where it can be told why.
    if revocations is not None and protocol == ssl.PROTOCOL_TLS_CLIENT:
        context.load_verify_locations(cafile=paths.revocations)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return context
