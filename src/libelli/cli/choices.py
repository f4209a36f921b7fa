"""What options may be one of; the same words as where they come from, and a test compares them.

They are written again here because the modules of certificates take long to import.
"""

from enum import StrEnum


class CertificateKind(StrEnum):
    """What a bearer may be (`certificates.Kind`)."""

    PEER = "peer"
    CLIENT = "client"


class KeyAlgorithm(StrEnum):
    """Of a private key (`certificates.KeyKind`)."""

    P256 = "p256"
    RSA2048 = "rsa2048"
    RSA3072 = "rsa3072"


class RevocationReason(StrEnum):
    """Why a certificate is revoked (`certificates.Reason`)."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "key-compromise"
    AFFILIATION_CHANGED = "affiliation-changed"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessation-of-operation"
    PRIVILEGE_WITHDRAWN = "privilege-withdrawn"


class Beginning(StrEnum):
    """What an empty data folder is the beginning of (`folder.Beginning`)."""

    REFUSED = "refused"
    FOUND = "found"
    JOIN = "join"


class SortBy(StrEnum):
    """What a range is sorted by (`commands.SortTarget`)."""

    KEY = "key"
    VERSION = "version"
    CREATE = "create"
    MOD = "mod"
    VALUE = "value"
