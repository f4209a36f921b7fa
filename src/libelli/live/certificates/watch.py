"""Certificates that are renewed and revoked while a node runs.

An OpenSSL context only ever gains: a second list of revocations is put beside the first, a former authority
stays trusted. So nothing is loaded into a context in use. New files become new contexts, whole, and then take
the place of the old ones:

    listener ──► server_context   always the same object; it has no certificate of its own
                      │ at each handshake, before a certificate is chosen
                      ▼
                 current material ◄── reload_if_changed() ◄── n1.pem, crl.pem
                      ▲
    each call ──► client_context   taken anew for every connection

Differs: reloading in place, as many servers do. Of two lists signed within a second OpenSSL 3.0 keeps the first,
so that a revocation just made would have no effect; `tests/live/certificates/test_watch.py` shows the case.
"""

import logging
import ssl
from typing import TYPE_CHECKING

from libelli.core.errors import CertificateError
from libelli.live.certificates.bundle import PemTriple, days_left
from libelli.live.certificates.clocks import Clock, utc_now
from libelli.live.certificates.contexts import CertificatePaths, Material, bare_context, load_material
from libelli.live.certificates.errors import BundleError, IdentityError
from libelli.live.certificates.identity import Identity, identity_of_pem, require_expected, require_identity
from libelli.live.certificates.subjects import Kind

if TYPE_CHECKING:
    from libelli.live.certificates.files import Stamp

_log = logging.getLogger(__name__)


class CertificateWatch:
    """The certificates of a running node; not for several threads at once.

    Args:
        paths: the node's files.
        clock: tells whether new certificates are expired.

    Raises:
        CertificateError: the files cannot be used.
    """

    def __init__(self, paths: CertificatePaths, *, clock: Clock = utc_now) -> None:
        self._paths = paths
        self._clock = clock
        self._material = load_material(paths, clock=clock)
        self._tried: tuple[Stamp | None, Stamp | None] = self._material.stamps
        self._problem: str | None = None
        self._server = bare_context(ssl.PROTOCOL_TLS_SERVER)
        self._server.verify_flags = self._material.server.verify_flags
        self._server.sni_callback = self._use_current

    @property
    def server_context(self) -> ssl.SSLContext:
        """For listeners, once: each handshake takes the certificates of its moment."""
        return self._server

    @property
    def client_context(self) -> ssl.SSLContext:
        """For one outgoing connection: take it anew for each, as an old one keeps old certificates."""
        return self._material.client

    @property
    def identity(self) -> Identity:
        """Who this node is."""
        return self._material.bundle.identity

    @property
    def pem_triple(self) -> PemTriple:
        """The current key, chain and root for gRPC credentials."""
        return self._material.bundle.pem_triple

    @property
    def revoked_serials(self) -> frozenset[int]:
        """Certificates whose connections are to be closed, and that gRPC doors refuse by themselves."""
        revocations = self._material.revocations
        return frozenset() if revocations is None else revocations.serials

    @property
    def problem(self) -> str | None:
        """Why the newest files are not in use, or None."""
        return self._problem

    def days_left(self) -> float:
        """Returns the days until the certificate in use expires; negative once it has."""
        return days_left(self._material.bundle, now=self._clock())

    def admit(
        self, connection: ssl.SSLObject | ssl.SSLSocket, *, kind: Kind | None = None, name: str | None = None
    ) -> Identity:
        """Returns who is on the other side of a finished handshake, if it may speak here and now.

        Args:
            connection: `transport.get_extra_info("ssl_object")`.
            kind: the only kind that may; None means both.
            name: the only bearer that may: of a peer that was dialled, always given.

        Raises:
            IdentityError: it may not; close the connection.
        """
        return self._refuse_revoked(require_identity(connection, kind=kind, name=name))

    def admit_pem(self, certificate: bytes, *, kind: Kind | None = None, name: str | None = None) -> Identity:
        """Returns who shows `certificate`, as `admit` does, for doors that hand over PEM, such as gRPC.

        gRPC has checked the chain, and knows nothing of `crl.pem`: here is where a revoked caller is refused.

        Raises:
            IdentityError: it may not speak here.
        """
        return self._refuse_revoked(require_expected(identity_of_pem(certificate), kind=kind, name=name))

    def _refuse_revoked(self, identity: Identity) -> Identity:
        if self.is_revoked(identity):
            raise IdentityError(f"the certificate of {identity} (serial {identity.serial:x}) is revoked")
        return identity

    def is_revoked(self, identity: Identity) -> bool:
        """Returns whether the certificate that `identity` showed is revoked by now."""
        return identity.serial in self.revoked_serials

    def reload_if_changed(self) -> bool:
        """Takes changed files into use for new handshakes; cheap (two stats) where nothing changed.

        Files that cannot be used are reported once, in the log and as `problem`; the old ones stay in use.
        Connections that exist go on: afterwards close those whose identity `is_revoked`.

        Returns:
            Whether new certificates or revocations are in use.
        """
        try:
            stamps = self._paths.stamps()
            if stamps == self._tried:
                return False
            self._tried = stamps
            self._replace(load_material(self._paths, clock=self._clock))
        except CertificateError as error:
            self._report(str(error))
            return False
        return True

    def _replace(self, new: Material) -> None:
        _require_successor(self._material, new, self._paths)
        # read when a handshake begins, so before the list itself: the flag without a list refuses everybody
        self._server.verify_flags = new.server.verify_flags
        self._material = new
        self._tried = new.stamps
        self._problem = None
        _log.info("certificates reloaded from %s, %.1f days left", self._paths.bundle, self.days_left())

    def _report(self, problem: str) -> None:
        if problem != self._problem:
            _log.warning("certificates not reloaded, the former stay in use: %s", problem)
        self._problem = problem

    def _use_current(
        self, connection: ssl.SSLObject | ssl.SSLSocket, _server_name: str | None, _context: ssl.SSLContext
    ) -> None:
        connection.context = self._material.server


def _require_successor(old: Material, new: Material, paths: CertificatePaths) -> None:
    """Refuses files that would make the node another one, or forget revocations."""
    if new.bundle.identity != old.bundle.identity:
        raise BundleError(
            f"{paths.bundle} is now of {new.bundle.identity}, and this node is {old.bundle.identity}: put its own back"
        )
    if old.revocations is None or new.bundle.authority != old.bundle.authority:
        return
    if new.revocations is None:
        raise BundleError(f"{paths.revocations} is gone: copy it again from the authority")
    if new.revocations.number < old.revocations.number:
        raise BundleError(
            f"{paths.revocations} is number {new.revocations.number}, older than number {old.revocations.number} in"
            " use: copy the newest from the authority"
        )
