"""Who a certificate can be for: names, addresses, kinds and lifetimes, and the limits of each.

Everything here is checked before a key is made, so a refused request leaves no trace.

Source: ITU-T X.520 (10/2019), Annex C, for the upper bounds of subject fields; RFC 1035 section 2.3.4 and
RFC 1123 section 2.1 for host names; SPIFFE-ID, sections 2.1 and 2.2, for the shape of the identity URI.
Differs: our URI is `libelli://<kind>/<name>`, because a cluster is one trust domain: its authority.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from enum import StrEnum

from libelli.live.certificates.errors import RequestError

NAME_SIZE_MAX = 63
"""One DNS label, so that a peer's name can be looked up and checked as a host name too."""
RESERVED_NAMES = ("authority", "ca", "crl")
"""Their bundles would be called like the authority's own files."""
HOST_SIZE_MAX = 253
ADDRESSES_MAX = 32
ORGANIZATION_SIZE_MAX = 64
PLACE_SIZE_MAX = 128
DAYS_MAX = 3_650
"""Peers and clients; ten years."""
DAYS_DEFAULT = 365
AUTHORITY_DAYS_MAX = 36_500
AUTHORITY_DAYS_DEFAULT = 3_650

_NAME = re.compile(r"[A-Za-z0-9](?:(?:[A-Za-z0-9_-]|\.(?!\.))*[A-Za-z0-9])?")
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*")
_NUMERIC_HOST = re.compile(r"(?:.*\.)?[0-9]+")
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_SHOWN_SIZE_MAX = 60


class Kind(StrEnum):
    """What the bearer of a certificate may be."""

    PEER = "peer"
    CLIENT = "client"


class KeyKind(StrEnum):
    """Algorithm and size of a private key."""

    P256 = "p256"
    RSA2048 = "rsa2048"
    RSA3072 = "rsa3072"


class Reason(StrEnum):
    """Why a certificate is revoked."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "key-compromise"
    AFFILIATION_CHANGED = "affiliation-changed"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessation-of-operation"
    PRIVILEGE_WITHDRAWN = "privilege-withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Where a certificate's bearer belongs; every field may be empty.

    Raises:
        RequestError: a field that X.509 has no room for.
    """

    organization: str = ""
    country: str = ""
    province: str = ""
    locality: str = ""

    def __post_init__(self) -> None:
        check_text("organization", self.organization, size_max=ORGANIZATION_SIZE_MAX)
        check_text("province", self.province, size_max=PLACE_SIZE_MAX)
        check_text("locality", self.locality, size_max=PLACE_SIZE_MAX)
        if self.country and not _COUNTRY.fullmatch(self.country):
            raise RequestError(
                f"country {shown(self.country)} is not a two-letter code: write one of ISO 3166, such as US or FR"
            )
        object.__setattr__(self, "country", self.country.upper())

    def over(self, other: "Subject") -> "Subject":
        """Returns this subject, its empty fields taken from `other`."""
        return Subject(
            organization=self.organization or other.organization,
            country=self.country or other.country,
            province=self.province or other.province,
            locality=self.locality or other.locality,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueRequest:
    """One certificate to be issued, all its parts checked.

    Args:
        name: the bearer; the common name, and the last part of its identity URI.
        kind: what the bearer may be.
        addresses: host names and IP addresses at which a peer is reached; no ports.
        subject: empty fields are taken from the authority.
        days: lifetime; None means `DAYS_DEFAULT`, or less where the authority ends earlier.
        key: algorithm of the private key; None means that of the authority.

    Raises:
        RequestError: one of them is not acceptable.
    """

    name: str
    kind: Kind
    addresses: tuple[str, ...] = ()
    subject: Subject = field(default_factory=Subject)
    days: int | None = None
    key: KeyKind | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.days is not None:
            check_days(self.days, days_max=DAYS_MAX)
        if self.kind is Kind.CLIENT and self.addresses:
            raise RequestError(
                f"client {self.name!r} with address {self.addresses[0]!r}: nobody dials a client, so leave addresses"
                " away or issue a peer"
            )
        object.__setattr__(self, "addresses", check_addresses(self.addresses))


def shown(value: str) -> str:
    """Returns `value` quoted for a message: control characters escaped, long ones cut."""
    if len(value) <= _SHOWN_SIZE_MAX:
        return ascii(value)
    return f"{value[:_SHOWN_SIZE_MAX]!a}… ({len(value):,} characters)"


def check_name(name: str) -> None:
    """Refuses a name that cannot be common name, DNS label, path and URI segment at once.

    Raises:
        RequestError: empty, too long, reserved or with characters other than letters, digits, `.`, `_`, `-`.
    """
    if not name:
        raise RequestError("the name is empty: give one, such as n1 or alice")
    if len(name) > NAME_SIZE_MAX:
        raise RequestError(f"name {shown(name)} is longer than {NAME_SIZE_MAX} characters: choose a shorter one")
    if not _NAME.fullmatch(name):
        raise RequestError(
            f"name {shown(name)} has characters that a name cannot have: use letters, digits, '.', '_' and '-',"
            " beginning and ending with a letter or digit"
        )
    if name.casefold() in RESERVED_NAMES:
        raise RequestError(f"name {name!r} is kept for the authority's own file: choose another")


def check_text(field: str, text: str, *, size_max: int) -> None:
    """Refuses text that is too long for its subject field, blank, or not printable.

    Raises:
        RequestError: naming `field`.
    """
    if len(text) > size_max:
        raise RequestError(f"{field} {shown(text)} is longer than {size_max} characters: shorten it")
    if text and not text.strip():
        raise RequestError(f"{field} is blank: write it out or leave it away")
    if not text.isprintable():
        raise RequestError(f"{field} {shown(text)} has characters that cannot be printed: leave them away")


def check_days(days: int, *, days_max: int) -> None:
    """Refuses lifetimes outside 1 … `days_max`.

    Raises:
        RequestError: the lifetime is outside.
    """
    if not 1 <= days <= days_max:
        raise RequestError(f"a lifetime of {days:,} days is outside 1 to {days_max:,}: choose one within")


def check_addresses(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Returns `addresses` in canonical form, in their order, each once.

    Raises:
        RequestError: too many, or one is neither a host name nor an IP address.
    """
    if len(addresses) > ADDRESSES_MAX:
        raise RequestError(f"{len(addresses)} addresses are more than {ADDRESSES_MAX}: leave some away")
    return tuple(dict.fromkeys(canonical_address(address) for address in addresses))


def canonical_address(address: str) -> str:
    """Returns a host name in lower case or an IP address in its shortest form.

    Raises:
        RequestError: it is neither.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return _canonical_host(address)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.scope_id is not None:
        raise RequestError(f"address {shown(address)} names a zone of this machine: leave '%{parsed.scope_id}' away")
    return str(parsed)


def is_ip_address(address: str) -> bool:
    """Returns whether a canonical address is an IP address and not a host name."""
    return ":" in address or _NUMERIC_HOST.fullmatch(address) is not None


def is_host_name(text: str) -> bool:
    """Returns whether `text` can stand in a certificate as a host name."""
    return bool(len(text) <= HOST_SIZE_MAX and _HOST.fullmatch(text) and not _NUMERIC_HOST.fullmatch(text))


def _canonical_host(address: str) -> str:
    if is_host_name(address):
        return address.lower()
    raise RequestError(
        f"address {shown(address)} is neither an IP address nor a host name of at most {HOST_SIZE_MAX} characters:"
        " write it without scheme, port and brackets, such as 10.0.0.7, ::1 or n1.example.org"
    )
