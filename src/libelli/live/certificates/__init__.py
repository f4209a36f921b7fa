"""The certificate authority of a cluster, and TLS with its certificates.

::

    Authority ──issue, renew, revoke──► n1.pem, crl.pem ──► CertificateWatch ──► contexts ──► handshake
    (libelli ca, libelli up)            (bundle)            (a node)                              │
                                                                           admit(…) -> Identity ◄─┘

A node makes one `CertificateWatch` from its `CertificatePaths`, gives `server_context` to its listeners, takes
`client_context` for each call, asks `admit` who is there after every handshake, and calls `reload_if_changed`
every few seconds.
"""

from libelli.live.certificates.authority import (
    DEFAULT_DIRECTORY,
    Authority,
    Issuance,
    Revocation,
)
from libelli.live.certificates.bundle import (
    EXPIRY_WARNING_DAYS,
    Bundle,
    PemTriple,
    days_left,
    decode_bundle,
    encode_pkcs12,
    load_bundle,
)
from libelli.live.certificates.cluster import ClusterCertificates, ensure_cluster_certificates
from libelli.live.certificates.contexts import CertificatePaths, client_context, server_context
from libelli.live.certificates.errors import (
    AuthorityError,
    BundleError,
    FileError,
    FileModeError,
    IdentityError,
    RequestError,
)
from libelli.live.certificates.identity import (
    Identity,
    identity_of,
    identity_of_certificate,
    identity_of_pem,
    require_identity,
)
from libelli.live.certificates.index import Entry, Issued, Revoked
from libelli.live.certificates.inspection import CertificateReport, expiry_warning, inspect, inspect_all
from libelli.live.certificates.publication import Publication
from libelli.live.certificates.revocations import Revocations, load_revocations, revoked_serials
from libelli.live.certificates.subjects import IssueRequest, KeyKind, Kind, Reason, Subject
from libelli.live.certificates.watch import CertificateWatch

__all__ = [
    "DEFAULT_DIRECTORY",
    "EXPIRY_WARNING_DAYS",
    "Authority",
    "AuthorityError",
    "Bundle",
    "BundleError",
    "CertificatePaths",
    "CertificateReport",
    "CertificateWatch",
    "ClusterCertificates",
    "Entry",
    "FileError",
    "FileModeError",
    "Identity",
    "IdentityError",
    "Issuance",
    "IssueRequest",
    "Issued",
    "KeyKind",
    "Kind",
    "PemTriple",
    "Publication",
    "Reason",
    "RequestError",
    "Revocation",
    "Revocations",
    "Revoked",
    "Subject",
    "client_context",
    "days_left",
    "decode_bundle",
    "encode_pkcs12",
    "ensure_cluster_certificates",
    "expiry_warning",
    "identity_of",
    "identity_of_certificate",
    "identity_of_pem",
    "inspect",
    "inspect_all",
    "load_bundle",
    "load_revocations",
    "require_identity",
    "revoked_serials",
    "server_context",
]
