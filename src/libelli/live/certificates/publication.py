"""Bringing the list of revocations to where nodes look for it.

A list's number is the count of revocations on it. Revocations are never taken back, so the number only grows,
the same number means the same content, and no counter needs keeping.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from libelli.core.errors import CertificateError
from libelli.live.certificates.errors import AuthorityError, FileError
from libelli.live.certificates.files import PUBLIC_MODE, read_public, stamp_of, write_file
from libelli.live.certificates.index import Revoked
from libelli.live.certificates.profiles import Signer
from libelli.live.certificates.revocations import REVOCATIONS_SIZE_MAX, load_revocations, sign_revocations

REVOCATIONS_FILE = "crl.pem"


@dataclass(frozen=True, slots=True)
class Publication:
    """Where the list of revocations is now.

    Attributes:
        number: of the list.
        paths: the files that hold it.
        missed: for each file that could not be written, why.
    """

    number: int
    paths: tuple[Path, ...]
    missed: tuple[str, ...]

    def require_complete(self) -> None:
        """Refuses to go on where a file could not be written.

        Raises:
            FileError: naming the first of them.
        """
        if self.missed:
            raise FileError(self.missed[0])


def publish(
    signer: Signer, revoked: tuple[Revoked, ...], *, home: Path, directories: tuple[Path, ...], now: datetime
) -> Publication:
    """Writes the list of `revoked` into the authority's home and beside bundles, where it is not there yet.

    Raises:
        AuthorityError: the list in `home` is longer, so `revoked` comes from an old copy of the index.
        FileError: the authority's own copy cannot be written.
    """
    number = len(revoked)
    own = home / REVOCATIONS_FILE
    if _own_number(own, signer, number) != number:
        write_file(own, sign_revocations(signer, revoked, number=number, now=now), mode=PUBLIC_MODE)
    data = read_public(own, size_max=REVOCATIONS_SIZE_MAX)
    paths, missed = [own], []
    for directory in directories:
        path = directory / REVOCATIONS_FILE
        try:
            _update(path, data, signer=signer, number=number)
            paths.append(path)
        except CertificateError as error:
            missed.append(str(error))
    return Publication(number, tuple(dict.fromkeys(paths)), tuple(missed))


def _own_number(path: Path, signer: Signer, number: int) -> int | None:
    try:
        found = load_revocations(path, authority=signer.certificate).number
    except CertificateError:  # missing or damaged: the index knows all that was on it
        return None
    if found > number:
        raise AuthorityError(
            f"{path} has {found} revocations and the index only {number}: the index is an old copy, restore the newest"
        )
    return found


def _update(path: Path, data: bytes, *, signer: Signer, number: int) -> None:
    # a list of another authority is refused here, and stays: its bundles need it
    if stamp_of(path) is None or load_revocations(path, authority=signer.certificate).number != number:
        write_file(path, data, mode=PUBLIC_MODE)
