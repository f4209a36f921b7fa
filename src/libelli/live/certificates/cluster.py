"""The certificates of a whole cluster on one machine, made and kept current: what `libelli up` calls."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from libelli.live.certificates.authority import KEY_FILE, Authority
from libelli.live.certificates.bundle import EXPIRY_WARNING_DAYS, Bundle, days_left, load_bundle
from libelli.live.certificates.clocks import Clock, utc_now
from libelli.live.certificates.contexts import CertificatePaths
from libelli.live.certificates.errors import AuthorityError, RequestError
from libelli.live.certificates.index import Issued
from libelli.live.certificates.subjects import IssueRequest, Kind, Subject

ORGANIZATION = "Libelli cluster"


@dataclass(frozen=True, slots=True)
class ClusterCertificates:
    """Where the certificates of a cluster are.

    Attributes:
        authority: the directory that can issue more.
        peers: by name, in the order asked for.
        client: for whoever administers the cluster.
        written: names whose bundles are new or renewed.
    """

    authority: Path
    peers: Mapping[str, CertificatePaths]
    client: CertificatePaths
    written: tuple[str, ...]


def ensure_cluster_certificates(
    directory: Path, *, peers: Mapping[str, Sequence[str]], client: str = "admin", clock: Clock = utc_now
) -> ClusterCertificates:
    """Makes what is missing: the authority, a bundle for each peer, one for a client.

    Bundles that expire within `EXPIRY_WARNING_DAYS`, are lost, or lack an address are made anew; all others stay
    as they are, so calling it again changes nothing.

    Args:
        directory: of the authority; it may be missing.
        peers: for each name its host names and IP addresses, without ports.
        client: the name of the client.
        clock: tells what is expired.

    Raises:
        RequestError: a name or address is not acceptable.
        AuthorityError: a name is revoked, or was issued to another kind.
        CertificateError: the files in `directory` cannot be used.
    """
    requests = [IssueRequest(name=name, kind=Kind.PEER, addresses=tuple(peers[name])) for name in peers]
    requests.append(IssueRequest(name=client, kind=Kind.CLIENT))
    _require_distinct(requests)
    if (directory / KEY_FILE).exists():
        authority = Authority.open(directory, clock=clock)
    else:
        authority = Authority.create(directory, subject=Subject(organization=ORGANIZATION), clock=clock)
    paths, written = {}, []
    for request in requests:
        path, is_new = _ensure(authority, request, clock)
        paths[request.name] = CertificatePaths.of(path)
        if is_new:
            written.append(request.name)
    own = paths.pop(client)
    return ClusterCertificates(directory, paths, own, tuple(written))


def _require_distinct(requests: list[IssueRequest]) -> None:
    seen: set[str] = set()
    for request in requests:
        if request.name.casefold() in seen:
            raise RequestError(f"two bearers are called {request.name!r}: give each its own name")
        seen.add(request.name.casefold())


def _ensure(authority: Authority, request: IssueRequest, clock: Clock) -> tuple[Path, bool]:
    entry = authority.find(request.name)
    if entry is None:
        return authority.issue(request).path, True
    path = authority.path_of(entry.issued)
    if entry.revoked is not None:
        raise AuthorityError(
            f"{request.name} was revoked on {entry.revoked.at:%Y-%m-%d}: move {path} away and admit it anew with"
            f" `libelli ca issue {request.name} --kind {request.kind} --ca {authority.home}`"
        )
    if entry.issued.kind is not request.kind:
        raise AuthorityError(
            f"{request.name} has the certificate of a {entry.issued.kind}, and a {request.kind} is to get that name:"
            " choose another name"
        )
    if path.exists() and _is_good(load_bundle(path), authority, request, entry.issued, clock):
        return path, False
    return authority.renew(request.name, addresses=request.addresses).path, True


def _is_good(bundle: Bundle, authority: Authority, request: IssueRequest, issued: Issued, clock: Clock) -> bool:
    return (
        bundle.authority == authority.certificate
        # another one than the newest: a crash came between the index and the bundle, or an old copy was put back
        and bundle.identity.serial == int(issued.serial, 16)
        and days_left(bundle, now=clock()) > EXPIRY_WARNING_DAYS
        and set(request.addresses) <= set(issued.addresses)
    )
