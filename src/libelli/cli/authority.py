"""`ca init|issue|list|show|renew|revoke|export`: who may be a node or a client of the cluster.

Without `--ca` the authority is the one beside the cluster's file that is found from here.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from libelli.cli.choices import CertificateKind, KeyAlgorithm, RevocationReason
from libelli.cli.connection import cluster_file_path
from libelli.cli.documents import Document
from libelli.cli.output import write_document, write_text
from libelli.cli.settings import CONNECTION_OPTIONS, OUTPUT_OPTIONS, Settings, command
from libelli.cli.usage import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from libelli.live.certificates import Authority, CertificateReport, Entry, Issuance

commands = typer.Typer(no_args_is_help=True, help="Certificates: who may be a node or a client of the cluster.")

AuthorityOption = Annotated[
    Path | None,
    typer.Option("--ca", metavar="DIR", help="The authority's folder. (default: that of the cluster found from here)"),
]
BearerArgument = Annotated[str, typer.Argument(metavar="NAME", help="The bearer's name.")]
OutOption = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where the bundle goes.", file_okay=False)]
AddressOption = Annotated[
    list[str] | None,
    typer.Option("--address", metavar="HOST", help="A host name or IP address of a peer; may be repeated."),
]
DaysOption = Annotated[int | None, typer.Option("--days", metavar="N", help="How long it holds.", show_default=False)]


OPTIONS = {"cluster": CONNECTION_OPTIONS["cluster"], **OUTPUT_OPTIONS}


def authority_folder(settings: Settings, given: Path | None) -> Path:
    """Returns the folder of the authority that a command works on: named, or that of the cluster."""
    if given is not None:
        return given
    from libelli.live.certificates import DEFAULT_DIRECTORY

    found = cluster_file_path(settings.cluster)
    return found.parent / "certificates" if found is not None else DEFAULT_DIRECTORY


@command(commands, "init", options=OPTIONS)
def init(
    settings: Settings,
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Where the authority is to live.", show_default=False)
    ] = None,
    *,
    organization: Annotated[str, typer.Option("--organization", help="Named in every certificate.")] = "",
    days: DaysOption = None,
    key: Annotated[KeyAlgorithm, typer.Option("--key", help="Kind of its key.")] = KeyAlgorithm.P256,
) -> None:
    """Make an authority: a folder that can issue certificates."""
    from libelli.live.certificates import Authority, KeyKind, Subject
    from libelli.live.certificates.subjects import AUTHORITY_DAYS_DEFAULT

    made = Authority.create(
        authority_folder(settings, folder),
        subject=Subject(organization=organization),
        key=KeyKind(key.value),
        days=AUTHORITY_DAYS_DEFAULT if days is None else days,
    )
    until = made.certificate.not_valid_after_utc
    if settings.json:
        write_document({"authority": str(made.home), "not_after": until.isoformat()})
        return
    write_text(f"authority in {made.home}, until {until:%Y-%m-%d}")
    write_text(f"whoever reads {made.home / 'authority.pem'} can admit anybody: keep it off the nodes")
    write_text(f"next: libelli ca issue n1 --kind peer --address HOST --ca {made.home}")


@command(commands, "issue", options=OPTIONS)
def issue(
    settings: Settings,
    name: BearerArgument,
    *,
    kind: Annotated[CertificateKind, typer.Option("--kind", help="A node, or a client.")] = CertificateKind.CLIENT,
    address: AddressOption = None,
    days: DaysOption = None,
    out: OutOption = None,
    authority: AuthorityOption = None,
) -> None:
    """Issue a certificate: one PEM file with key, certificate and authority, for its owner only."""
    from libelli.live.certificates import IssueRequest, Kind

    request = IssueRequest(name=name, kind=Kind(kind.value), addresses=tuple(address or ()), days=days)
    write_issuance(settings, _open(settings, authority).issue(request, directory=out))


@command(commands, "renew", options=OPTIONS)
def renew(
    settings: Settings,
    name: BearerArgument,
    *,
    address: AddressOption = None,
    days: DaysOption = None,
    out: OutOption = None,
    authority: AuthorityOption = None,
) -> None:
    """Put a new key and certificate in the place of the old; a running node reads it by itself."""
    opened = _open(settings, authority)
    write_issuance(settings, opened.renew(name, addresses=tuple(address or ()), days=days, directory=out))


@command(commands, "revoke", options=OPTIONS)
def revoke(
    settings: Settings,
    name: Annotated[str, typer.Argument(metavar="NAME|SERIAL", help="All of a bearer's certificates, or one.")],
    *,
    reason: Annotated[RevocationReason, typer.Option("--reason", help="Why.")] = RevocationReason.UNSPECIFIED,
    authority: AuthorityOption = None,
) -> None:
    """Take trust away; it works on a node once the new list lies beside that node's bundle."""
    from libelli.live.certificates import Reason

    done = _open(settings, authority).revoke(name, reason=Reason(reason.value))
    paths = [str(path) for path in done.publication.paths]
    if settings.json:
        write_document({"revoked": list(done.serials), "lists": paths, "missed": list(done.publication.missed)})
        return
    write_text(f"revoked {len(done.serials)} certificates" if done.serials else "all of them were revoked before")
    for path in paths:
        write_text(f"list: {path}")
    for missed in done.publication.missed:
        write_text(f"not written: {missed}", color=typer.colors.YELLOW)


@command(commands, "list", options=OPTIONS)
def list_(settings: Settings, *, authority: AuthorityOption = None) -> None:
    """List every certificate that was ever issued."""
    opened = _open(settings, authority)
    documents = [entry_document(opened, entry) for entry in opened.entries()]
    if settings.json:
        write_document({"authority": str(opened.home), "certificates": documents})
        return
    for each in documents:
        state = f"revoked {each['revoked']}" if each["revoked"] else f"until {each['not_after'][:10]}"
        write_text(f"{each['name']}\t{each['kind']}\t{state}\t{each['serial']}\t{each['path']}")


@command(commands, "show", options=OPTIONS)
def show(
    settings: Settings,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]…", help="PEM files, or folders of them.", show_default=False),
    ] = None,
) -> None:
    """Show what certificates say, and which need attention; without PATH, those of the cluster found from here."""
    from libelli.live.certificates import inspect_all

    reports = inspect_all(tuple(paths or [authority_folder(settings, None)]))
    if settings.json:
        write_document({"certificates": [report_document(report) for report in reports]})
        return
    for report in reports:
        write_report(report)


@command(commands, "export", options=OUTPUT_OPTIONS)
def export(
    settings: Settings,
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The PEM file to export.", dir_okay=False)],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The PKCS#12 file to write.", dir_okay=False)],
    *,
    password_file: Annotated[
        Path | None, typer.Option("--password-file", help="Its first line is the password. (default: ask)")
    ] = None,
) -> None:
    """Write a bundle as PKCS#12, encrypted with a password, as browsers and keychains import it."""
    from libelli.live.certificates import encode_pkcs12, load_bundle
    from libelli.live.certificates.files import SECRET_MODE, write_file

    if file.exists():
        raise UsageError(f"{file} exists: name another file, or move it away")
    loaded = load_bundle(bundle)
    if password_file is not None:
        password = password_file.read_text("utf-8").partition("\n")[0]
    else:
        password = typer.prompt("password for the file", hide_input=True, confirmation_prompt=True, err=True)
    write_file(file, encode_pkcs12(loaded, password=password.encode()), mode=SECRET_MODE)
    if settings.json:
        write_document({"path": str(file), "name": loaded.identity.name})
    else:
        write_text(f"{loaded.identity.name}: {file}")


def _open(settings: Settings, given: Path | None) -> "Authority":
    from libelli.live.certificates import Authority

    return Authority.open(authority_folder(settings, given))


def write_issuance(settings: Settings, issuance: "Issuance") -> None:
    """Says where a bundle was written, for whom, and until when it holds."""
    identity, certificate = issuance.bundle.identity, issuance.bundle.certificate
    until = certificate.not_valid_after_utc
    if settings.json:
        write_document(
            {
                "path": str(issuance.path),
                "kind": str(identity.kind),
                "name": identity.name,
                "serial": f"{identity.serial:x}",
                "not_after": until.isoformat(),
            }
        )
    else:
        write_text(f"{identity.kind} {identity.name}: {issuance.path}, until {until:%Y-%m-%d}")


def entry_document(authority: "Authority", entry: "Entry") -> Document:
    """Returns one line of the authority's index."""
    issued = entry.issued
    return {
        "name": issued.name,
        "kind": str(issued.kind),
        "addresses": list(issued.addresses),
        "serial": issued.serial,
        "not_before": issued.not_before.isoformat(),
        "not_after": issued.not_after.isoformat(),
        "path": str(authority.path_of(issued)),
        "revoked": entry.revoked.at.isoformat() if entry.revoked else None,
    }


def report_document(report: "CertificateReport") -> Document:
    """Returns what a certificate says."""
    from dataclasses import asdict

    fields = asdict(report) | {"warning": report.warning, "addresses": list(report.addresses)}
    times: Iterable[tuple[str, datetime]] = (("not_before", report.not_before), ("not_after", report.not_after))
    return fields | {name: moment.isoformat() for name, moment in times}


def write_report(report: "CertificateReport") -> None:
    """Writes what a certificate says, and below it what is to be done."""
    addresses = f" at {', '.join(report.addresses)}" if report.addresses else ""
    write_text(f"{report.path}: {report.kind} {report.name}{addresses}")
    write_text(f"  from {report.not_before:%Y-%m-%d} to {report.not_after:%Y-%m-%d}, {report.days_left:.0f} days left")
    write_text(f"  serial {report.serial}, issued by {report.issuer}")
    if report.warning:
        write_text(f"  {report.warning}", color=typer.colors.YELLOW)
