"""The authority's memory: one line of JSON for every certificate issued and every one revoked.

::

    {"event":"issued","serial":"5f…","name":"n1","kind":"peer","addresses":["127.0.0.1"],…}
    {"event":"revoked","serial":"5f…","at":"2026-01-01T00:00:00Z","reason":"key-compromise"}

A line is appended with one write and made durable before the certificate leaves the authority. So everything
that is out there can be found and revoked; the reverse, a line whose bundle was never written, is harmless.
A last line that a power cut left without its end was never acted on, and is cut by the next append.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from libelli.live.certificates.errors import AuthorityError, FileError
from libelli.live.certificates.files import locked, read_secret
from libelli.live.certificates.subjects import KeyKind, Kind, Reason

INDEX_SIZE_MAX = 64 * 1024 * 1024
"""About 150,000 certificates."""


class Issued(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="issued"):
    """A certificate that left the authority."""

    serial: str
    """Hexadecimal, lower case."""
    name: str
    kind: Kind
    addresses: tuple[str, ...]
    organization: str
    country: str
    province: str
    locality: str
    key: KeyKind
    not_before: datetime
    not_after: datetime
    bundle: str
    """Where it was written; relative to the authority's directory where it lies inside."""


class Revoked(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="revoked"):
    """A certificate that is not to be trusted any more."""

    serial: str
    at: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class Entry:
    """A certificate and what became of it."""

    issued: Issued
    revoked: Revoked | None

    def is_valid(self, now: datetime) -> bool:
        """Returns whether it is neither revoked nor expired."""
        return self.revoked is None and now < self.issued.not_after


def newest(entries: Iterable[Entry], name: str) -> Entry | None:
    """Returns the last certificate of `name`, whatever the case of its letters, or None."""
    found = [entry for entry in entries if entry.issued.name.casefold() == name.casefold()]
    return found[-1] if found else None


def matching(entries: Iterable[Entry], name_or_serial: str) -> tuple[Entry, ...]:
    """Returns all certificates of a name, or else the one with that serial number."""
    every = tuple(entries)
    named = tuple(entry for entry in every if entry.issued.name.casefold() == name_or_serial.casefold())
    serial = name_or_serial.replace(":", "").lower().lstrip("0")
    return named or tuple(entry for entry in every if entry.issued.serial == serial)


def revocations_of(entries: Iterable[Entry]) -> tuple[Revoked, ...]:
    """Returns what was revoked."""
    return tuple(entry.revoked for entry in entries if entry.revoked is not None)


_decoder = msgspec.json.Decoder(Issued | Revoked)
_encoder = msgspec.json.Encoder()


class Index:
    """The file `path`, read whole; it is created by its first lock."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from changing the index until the block ends."""
        with locked(self._path):
            yield

    def entries(self) -> tuple[Entry, ...]:
        """Returns all certificates, oldest first.

        Raises:
            AuthorityError: a line is damaged.
        """
        issued: dict[str, Issued] = {}
        revoked: dict[str, Revoked] = {}
        for record in self._records():
            if isinstance(record, Issued):
                issued[record.serial] = record
            else:
                revoked.setdefault(record.serial, record)
        return tuple(Entry(record, revoked.get(serial)) for serial, record in issued.items())

    def _records(self) -> Iterator[Issued | Revoked]:
        data = read_secret(self._path, size_max=INDEX_SIZE_MAX)
        *lines, _torn = data.split(b"\n")
        for number, line in enumerate(lines, start=1):
            try:
                yield _decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise AuthorityError(
                    f"{self._path}, line {number} is damaged ({error}): restore the file from a backup; until then"
                    " nothing is issued or revoked"
                ) from error

    def append(self, record: Issued | Revoked) -> None:
        """Adds `record` durably; the caller holds the lock.

        Raises:
            FileError: it cannot be written; the index is as it was, but for a torn last line at most.
        """
        line = _encoder.encode(record) + b"\n"
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            try:
                _cut_torn_line(descriptor)
                written = os.write(descriptor, line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise FileError(f"{self._path} cannot be written: {error.strerror}") from error
        if written != len(line):
            raise FileError(f"{self._path}: {written} of {len(line)} bytes were written: is the disk full?")


def _cut_torn_line(descriptor: int) -> None:
    size_bytes = os.fstat(descriptor).st_size
    data = os.pread(descriptor, size_bytes, 0)
    os.ftruncate(descriptor, data.rfind(b"\n") + 1)
