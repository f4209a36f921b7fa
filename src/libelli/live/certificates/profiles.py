"""What stands in a certificate of ours.

::

    authority   CA:TRUE, path length 0; signs certificates and lists of revocations, nothing else
    peer        serverAuth + clientAuth; DNS its name and host names, IP addresses, URI libelli://peer/NAME
    client      clientAuth only; URI libelli://client/NAME

Since the path ends after one step, an issued certificate can never issue another. Since clients lack
serverAuth, a client that stands in for a server fails in the handshake, before anybody looks at names.

Source: RFC 5280, sections 4.1 and 4.2; CA/Browser Forum, Baseline Requirements, section 7.1 for serial
numbers, which are 159 random bits, so that they are positive, unique and not to be guessed.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from libelli.live.certificates.identity import uri_of
from libelli.live.certificates.keys import PrivateKey
from libelli.live.certificates.subjects import Kind, Subject, is_host_name, is_ip_address

AUTHORITY_NAME = "Libelli authority"
BACKDATING = timedelta(hours=1)
"""What is signed is valid from an hour before, because the clocks of two nodes never agree."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """From when until when, both in whole seconds of UTC."""

    not_before: datetime
    not_after: datetime

    @classmethod
    def starting(cls, now: datetime, *, days: int) -> "Lifetime":
        """Returns the lifetime that ends `days` from `now`."""
        start = now.replace(microsecond=0)
        return cls(start - BACKDATING, start + timedelta(days=days))


@dataclass(frozen=True, slots=True)
class Signer:
    """An authority's key and certificate."""

    key: PrivateKey
    certificate: x509.Certificate


def sign_authority(key: PrivateKey, *, subject: Subject, lifetime: Lifetime) -> x509.Certificate:
    """Returns the certificate of an authority, signed by itself."""
    name = _name(AUTHORITY_NAME, subject)
    usage = _key_usage(signs_certificates=True)
    return (
        _builder(name, key, lifetime)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def sign_bearer(
    key: PrivateKey,
    *,
    signer: Signer,
    name: str,
    kind: Kind,
    addresses: tuple[str, ...],
    subject: Subject,
    lifetime: Lifetime,
) -> x509.Certificate:
    """Returns the certificate of a peer or client, signed by `signer`."""
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if kind is Kind.PEER:
        usages.insert(0, ExtendedKeyUsageOID.SERVER_AUTH)
    return (
        _builder(_name(name, subject), key, lifetime)
        .issuer_name(signer.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(_alternative_names(name, kind, addresses), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority_identifier(signer), critical=False)
        .sign(signer.key, hashes.SHA256())
    )


def authority_identifier(signer: Signer) -> x509.AuthorityKeyIdentifier:
    """Returns the extension that tells two authorities of the same name apart."""
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())


def _builder(name: x509.Name, key: PrivateKey, lifetime: Lifetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(lifetime.not_before)
        .not_valid_after(lifetime.not_after)
    )


def subject_of(certificate: x509.Certificate) -> Subject:
    """Returns where the bearer of `certificate` belongs."""
    found = {attribute.oid: str(attribute.value) for attribute in certificate.subject}
    return Subject(
        organization=found.get(NameOID.ORGANIZATION_NAME, ""),
        country=found.get(NameOID.COUNTRY_NAME, ""),
        province=found.get(NameOID.STATE_OR_PROVINCE_NAME, ""),
        locality=found.get(NameOID.LOCALITY_NAME, ""),
    )


def _name(common_name: str, subject: Subject) -> x509.Name:
    fields = (
        (NameOID.COUNTRY_NAME, subject.country),
        (NameOID.STATE_OR_PROVINCE_NAME, subject.province),
        (NameOID.LOCALITY_NAME, subject.locality),
        (NameOID.ORGANIZATION_NAME, subject.organization),
        (NameOID.COMMON_NAME, common_name),
    )
    return x509.Name([x509.NameAttribute(field, value) for field, value in fields if value])


def _alternative_names(name: str, kind: Kind, addresses: tuple[str, ...]) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri_of(kind=kind, name=name))]
    if kind is Kind.PEER:
        hosts = dict.fromkeys(text for text in (name.lower(), *addresses) if is_host_name(text))
        names.extend(x509.DNSName(host) for host in hosts)
        names.extend(x509.IPAddress(ipaddress.ip_address(a)) for a in addresses if is_ip_address(a))
    return x509.SubjectAlternativeName(names)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
