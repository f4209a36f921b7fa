"""What can be wrong with keys, certificates and those who show them.

::

    CertificateError              (libelli.core.errors) a certificate or key that cannot be used
    ├── AuthorityError            the authority's own files: missing, already there, damaged
    ├── BundleError               a bundle or list of revocations: truncated, foreign, expired, key does not fit
    ├── FileError                 a file or directory that cannot be read, locked or written
    │   └── FileModeError         a secret that others than its owner may read or replace
    ├── IdentityError             the other side proved who it is, and it is not who may speak here
    └── RequestError              a name, address or lifetime that no certificate of ours can have
"""

from libelli.core.errors import CertificateError


class AuthorityError(CertificateError):
    """The authority's files do not allow what was asked; nothing was changed."""


class BundleError(CertificateError):
    """A bundle or a list of revocations that cannot be used as it is."""


class FileError(CertificateError):
    """A file or directory that cannot be read, locked or written."""


class FileModeError(FileError):
    """A secret that others than its owner may read or replace."""


class IdentityError(CertificateError):
    """A proved identity that may not speak here; the connection must be closed."""


class RequestError(CertificateError):
    """A name, address, subject or lifetime that no certificate of ours can have."""
