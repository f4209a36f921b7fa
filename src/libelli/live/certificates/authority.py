"""The certificate authority of a cluster: a directory, and what can be done with it.

::

    .libelli/certificates/      0700
      authority.pem             0600  key and certificate: whoever has it can admit anybody
      index.jsonl               0600  everything issued and revoked
      ca.pem                          the certificate alone, for other programs
      crl.pem                         what is revoked, signed
      bundles/                  0700  unless `--out` says otherwise; this is what goes to the nodes
        n1.pem                  0600
        crl.pem                       the same list again: a node looks for it beside its bundle

A name belongs to one bearer: it is issued once, then renewed, until it is revoked or has expired. Names differ
by more than the case of their letters, since some file systems and all of DNS ignore it.

Source: RFC 5280 for what is signed.
"""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Self

from cryptography import x509

from libelli.live.certificates.bundle import (
    BUNDLE_SIZE_MAX,
    Bundle,
    decode_certificate,
    encode_certificate,
    is_authority,
    pem_blocks,
    require_signed,
    write_bundle,
)
from libelli.live.certificates.clocks import Clock, utc_now
from libelli.live.certificates.errors import AuthorityError, BundleError, RequestError
from libelli.live.certificates.files import (
    OTHERS_MAY_ANYTHING,
    OTHERS_MAY_WRITE,
    PUBLIC_MODE,
    SECRET_MODE,
    make_directory,
    read_secret,
    require_directory,
    write_file,
)
from libelli.live.certificates.index import Entry, Index, Issued, Revoked, matching, newest, revocations_of
from libelli.live.certificates.keys import decode_key, encode_key, generate_key, kind_of_key
from libelli.live.certificates.profiles import (
    BACKDATING,
    Lifetime,
    Signer,
    sign_authority,
    sign_bearer,
    subject_of,
)
from libelli.live.certificates.publication import Publication, publish
from libelli.live.certificates.subjects import (
    AUTHORITY_DAYS_DEFAULT,
    AUTHORITY_DAYS_MAX,
    DAYS_DEFAULT,
    IssueRequest,
    KeyKind,
    Reason,
    Subject,
    check_days,
    shown,
)

DEFAULT_DIRECTORY = Path(".libelli/certificates")
KEY_FILE = "authority.pem"
CERTIFICATE_FILE = "ca.pem"
INDEX_FILE = "index.jsonl"
BUNDLES_DIRECTORY = "bundles"


@dataclass(frozen=True, slots=True)
class Issuance:
    """A bundle that was just written."""

    path: Path
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class Revocation:
    """What a revocation did.

    Attributes:
        serials: newly revoked; empty where all had been before.
        publication: where the list went.
    """

    serials: tuple[str, ...]
    publication: Publication


class Authority:
    """The authority in the directory `home`; made by `create` or `open`."""

    def __init__(self, home: Path, signer: Signer, *, clock: Clock) -> None:
        self.home = home
        self._signer = signer
        self._clock = clock
        self._index = Index(home / INDEX_FILE)

    @classmethod
    def create(
        cls,
        home: Path,
        *,
        subject: Subject,
        key: KeyKind = KeyKind.P256,
        days: int = AUTHORITY_DAYS_DEFAULT,
        clock: Clock = utc_now,
    ) -> Self:
        """Makes an authority in `home`, which may be missing or empty.

        Raises:
            RequestError: the lifetime is outside the limits.
            AuthorityError: there is one already.
            FileError: the directory cannot be used; FileModeError where others may look into it.
        """
        check_days(days, days_max=AUTHORITY_DAYS_MAX)
        make_directory(home, forbidden=OTHERS_MAY_ANYTHING)
        index = Index(home / INDEX_FILE)
        with index.locked():
            _refuse_existing(home, index)
            private = generate_key(key)
            certificate = sign_authority(private, subject=subject, lifetime=Lifetime.starting(clock(), days=days))
            signer = Signer(private, certificate)
            publish(signer, (), home=home, directories=(), now=clock())
            public = encode_certificate(certificate)
            write_file(home / CERTIFICATE_FILE, public, mode=PUBLIC_MODE)
            # last: a directory without this file holds no authority, so a crash before it is simply tried again
            write_file(home / KEY_FILE, encode_key(private) + public, mode=SECRET_MODE)
        return cls(home, signer, clock=clock)

    @classmethod
    def open(cls, home: Path, *, clock: Clock = utc_now) -> Self:
        """Returns the authority in `home`.

        Raises:
            AuthorityError: there is none.
            BundleError: its key is damaged.
            FileError: the directory cannot be used; FileModeError where others may look into it.
        """
        path = home / KEY_FILE
        if not path.exists():
            raise AuthorityError(f"{home} holds no authority: make one with `libelli ca init {home}`")
        require_directory(home, forbidden=OTHERS_MAY_ANYTHING)
        return cls(home, _load_signer(path), clock=clock)

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate that everything issued here is checked against."""
        return self._signer.certificate

    def entries(self) -> tuple[Entry, ...]:
        """Returns everything ever issued, oldest first.

        Raises:
            AuthorityError: the index is damaged.
        """
        return self._index.entries()

    def find(self, name: str) -> Entry | None:
        """Returns the newest certificate of `name`, or None."""
        return newest(self.entries(), name)

    def path_of(self, issued: Issued) -> Path:
        """Returns where a bundle was written."""
        return self.home / issued.bundle

    def issue(self, request: IssueRequest, *, directory: Path | None = None) -> Issuance:
        """Makes a key and a certificate, and writes them as a bundle.

        Args:
            request: for whom.
            directory: where the bundle goes; None means `bundles` of the authority.

        Raises:
            AuthorityError: the name is in use, or the file exists.
            RequestError: the lifetime would be longer than the authority's.
            FileError: a file cannot be written.
        """
        target = directory or self.home / BUNDLES_DIRECTORY
        self._make_target(target)
        path = target / f"{request.name}.pem"
        with self._index.locked():
            entries = self.entries()
            self._refuse_name_in_use(entries, request.name)
            if path.exists() and not self._is_revoked(entries, path):
                raise AuthorityError(
                    f"{path} exists: move it away, choose another directory with --out, or put a new certificate in"
                    f" its place with `libelli ca renew {request.name}`"
                )
            return self._issue(request, path, entries)

    def renew(
        self,
        name: str,
        *,
        addresses: tuple[str, ...] = (),
        days: int | None = None,
        directory: Path | None = None,
    ) -> Issuance:
        """Makes a new key and certificate for the same names, in place of the old bundle.

        The old certificate stays valid until it expires or is revoked by its serial number.

        Args:
            name: a bearer.
            addresses: added to those it has.
            days: None means as long as the last time.
            directory: None means where the last bundle was written.

        Raises:
            AuthorityError: the name was never issued, or is revoked.
            RequestError: the lifetime is outside the limits.
            FileError: a file cannot be written.
        """
        with self._index.locked():
            entries = self.entries()
            entry = newest(entries, name)
            if entry is None:
                raise AuthorityError(f"{shown(name)} was never issued here: `libelli ca list` shows what was")
            if entry.revoked is not None:
                raise AuthorityError(f"{name} is revoked: admit it anew with `libelli ca issue {name}`")
            issued = entry.issued
            target = directory or self.path_of(issued).parent
            self._make_target(target)
            request = self._renewal_of(issued, addresses=addresses, days=days)
            return self._issue(request, target / f"{issued.name}.pem", entries)

    def revoke(self, name_or_serial: str, *, reason: Reason = Reason.UNSPECIFIED) -> Revocation:
        """Takes trust away from one certificate (by serial number) or all of a name.

        Repeating it changes nothing but writes the lists again.

        Raises:
            AuthorityError: nothing of that name or serial number was issued.
            FileError: a file cannot be written.
        """
        with self._index.locked():
            found = matching(self.entries(), name_or_serial)
            if not found:
                raise AuthorityError(
                    f"no certificate has the name or serial number {shown(name_or_serial)}: `libelli ca list` shows all"
                )
            fresh = tuple(entry.issued.serial for entry in found if entry.revoked is None)
            for serial in fresh:
                self._index.append(Revoked(serial=serial, at=self._clock(), reason=reason))
            return Revocation(fresh, self._publish())

    def _issue(self, request: IssueRequest, path: Path, entries: tuple[Entry, ...]) -> Issuance:
        lifetime = Lifetime.starting(self._clock(), days=self._days(request.days))
        key = generate_key(request.key or kind_of_key(self._signer.key))
        subject = request.subject.over(subject_of(self.certificate))
        certificate = sign_bearer(
            key,
            signer=self._signer,
            name=request.name,
            kind=request.kind,
            addresses=request.addresses,
            subject=subject,
            lifetime=lifetime,
        )
        bundle = Bundle(key, certificate, self.certificate)
        publish(
            self._signer, revocations_of(entries), home=self.home, directories=(path.parent,), now=self._clock()
        ).require_complete()
        self._index.append(_record(request, bundle, subject=subject, path=self._recorded(path)))
        write_bundle(bundle, path)
        return Issuance(path, bundle)

    def _publish(self) -> Publication:
        entries = self.entries()
        directories = dict.fromkeys(self.path_of(entry.issued).parent for entry in entries)
        return publish(
            self._signer,
            revocations_of(entries),
            home=self.home,
            directories=tuple(directory for directory in directories if directory.exists()),
            now=self._clock(),
        )

    def _make_target(self, directory: Path) -> None:
        inside = directory.resolve().is_relative_to(self.home.resolve())
        make_directory(directory, forbidden=OTHERS_MAY_ANYTHING if inside else OTHERS_MAY_WRITE)

    def _recorded(self, path: Path) -> str:
        resolved, home = path.resolve(), self.home.resolve()
        return str(resolved.relative_to(home) if resolved.is_relative_to(home) else resolved)

    def _refuse_name_in_use(self, entries: tuple[Entry, ...], name: str) -> None:
        entry = newest(entries, name)
        if entry is not None and entry.is_valid(self._clock()):
            issued = entry.issued
            raise AuthorityError(
                f"{issued.kind} {issued.name} has a certificate until"
                f" {issued.not_after:%Y-%m-%d}: renew it with `libelli ca renew {issued.name}`, or revoke it"
                f" first with `libelli ca revoke {issued.name}`"
            )

    def _is_revoked(self, entries: tuple[Entry, ...], path: Path) -> bool:
        """Whether the bundle at `path` is of no use any more: what was issued there last is revoked."""
        there = [entry for entry in entries if self.path_of(entry.issued) == path]
        return bool(there) and there[-1].revoked is not None

    def _days(self, days: int | None) -> int:
        end, days_max = self.certificate.not_valid_after_utc, self._days_max()
        if days_max < 1:
            raise AuthorityError(
                f"the authority in {self.home} ends on {end:%Y-%m-%d %H:%M} UTC, too soon to issue anything: make a new"
                " one with `libelli ca init` in another directory"
            )
        if days is not None and days > days_max:
            raise RequestError(
                f"{days:,} days would outlive the authority, which ends on {end:%Y-%m-%d}: choose at most {days_max:,}"
            )
        return days or min(DAYS_DEFAULT, days_max)

    def _days_max(self) -> int:
        now = self._clock().replace(microsecond=0)
        return (self.certificate.not_valid_after_utc - now) // timedelta(days=1)

    def _renewal_of(self, issued: Issued, *, addresses: tuple[str, ...], days: int | None) -> IssueRequest:
        same = (issued.not_after - issued.not_before - BACKDATING) // timedelta(days=1)
        return IssueRequest(
            name=issued.name,
            kind=issued.kind,
            addresses=(*issued.addresses, *addresses),
            subject=Subject(
                organization=issued.organization,
                country=issued.country,
                province=issued.province,
                locality=issued.locality,
            ),
            days=days if days is not None else max(1, min(same, self._days_max())),
            key=issued.key,
        )


def _refuse_existing(home: Path, index: Index) -> None:
    if (home / KEY_FILE).exists():
        raise AuthorityError(
            f"{home} already holds an authority: issue from it, or choose another directory; to start over, move"
            f" {home} away (nothing it issued is accepted by the new one)"
        )
    if index.entries():
        raise AuthorityError(
            f"{home} has issued certificates, but {KEY_FILE} is gone: restore it from a backup, or choose another"
            " directory"
        )


def _load_signer(path: Path) -> Signer:
    blocks = pem_blocks(read_secret(path, size_max=BUNDLE_SIZE_MAX), source=str(path))
    if len(blocks) != 2 or not blocks[0][0].endswith("PRIVATE KEY") or blocks[1][0] != "CERTIFICATE":
        raise BundleError(f"{path} is not a private key and its certificate: restore it from a backup")
    key = decode_key(blocks[0][1], source=str(path))
    certificate = decode_certificate(blocks[1][1], source=str(path))
    if key.public_key() != certificate.public_key() or not is_authority(certificate):
        raise BundleError(f"{path}: key and certificate do not belong together: restore it from a backup")
    require_signed(certificate, by=certificate, source=str(path))
    return Signer(key, certificate)


def _record(request: IssueRequest, bundle: Bundle, *, subject: Subject, path: str) -> Issued:
    return Issued(
        serial=f"{bundle.certificate.serial_number:x}",
        name=request.name,
        kind=request.kind,
        addresses=request.addresses,
        organization=subject.organization,
        country=subject.country,
        province=subject.province,
        locality=subject.locality,
        key=kind_of_key(bundle.key),
        not_before=bundle.certificate.not_valid_before_utc,
        not_after=bundle.certificate.not_valid_after_utc,
        bundle=path,
    )
