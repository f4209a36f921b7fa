"""The file that tells commands where a cluster is: `.libelli/cluster.toml`.

::

    .libelli/
      cluster.toml          this file: members, addresses, the certificate that commands show
      certificates/         the authority and its bundles
      n1/                   one folder a replica that runs on this machine
        libelli.toml        what `libelli serve --config` reads
        data/               its log and checkpoint
        libelli.log         what it logs, when `libelli up` started it

A command looks for it in `.libelli` of the current folder and of every folder above. A cluster over several machines
has the same file on each machine from which it is administered; only the members that run there have a folder.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from libelli.core.errors import ConfigurationError
from libelli.core.ids import NodeId
from libelli.core.members import Configuration, Member

FOLDER = ".libelli"
NAME = "cluster.toml"
FILE_VERSION = 1
FILE_SIZE_MAX = 1 << 20
_IGNORED = "# keys and data: nothing of this belongs into a repository\n*\n"
_HEAD = "# Where this cluster is. Written by libelli; addresses and members may be edited while no command runs.\n"


class Place(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member of the cluster, and where it is reached.

    Attributes:
        node: its number.
        name: as in its certificate.
        region: where it stands.
        peer: `host:port` for the other nodes.
        client: `host:port` for native sessions.
        grpc: `host:port` of its gRPC door, or empty.
        http: `host:port` of metrics and health, or empty.
        folder: its own folder, relative to the file; empty when it runs on another machine.
    """

    node: int
    name: str
    region: str
    peer: str
    client: str
    grpc: str = ""
    http: str = ""
    folder: str = ""

    def member(self) -> Member:
        """Returns the same for the group's configuration."""
        return Member(NodeId(self.node), self.name, self.region, self.peer, self.client, self.grpc)


class ClusterFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `cluster.toml` says.

    Attributes:
        version: of this file's format.
        cluster: the cluster's id.
        bundle: the client's certificate, relative to the file; empty when the cluster speaks plain text.
        members: by number.
    """

    version: int
    cluster: str
    bundle: str = ""
    members: tuple[Place, ...]

    @property
    def configuration(self) -> Configuration:
        """Its members as voters."""
        return Configuration(tuple(place.member() for place in self.members))

    def find(self, name: str) -> Place:
        """Returns the member called `name`.

        Raises:
            ConfigurationError: there is none.
        """
        for place in self.members:
            if place.name == name:
                return place
        known = ", ".join(place.name for place in self.members)
        raise ConfigurationError(f"no member {name!r} is in the cluster's file; there are: {known}")

    def with_member(self, place: Place) -> "ClusterFile":
        """Returns the file with `place` added, or in the place of the one that had its number."""
        others = [other for other in self.members if other.node != place.node]
        return self._with_members([*others, place])

    def without_member(self, name: str) -> "ClusterFile":
        """Returns the file without the member called `name`."""
        return self._with_members([place for place in self.members if place.name != name])

    def _with_members(self, members: list[Place]) -> "ClusterFile":
        ordered = tuple(sorted(members, key=lambda place: place.node))
        return msgspec.structs.replace(self, members=ordered)


def find_cluster_file(start: Path) -> Path | None:
    """Returns the cluster's file of `start` or of the nearest folder above it, or None."""
    for folder in (start, *start.parents):
        path = folder / FOLDER / NAME
        if path.is_file():
            return path
    return None


def read_cluster_file(path: Path) -> ClusterFile:
    """Returns what the file says.

    Raises:
        ConfigurationError: it is missing or cannot be used.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_SIZE_MAX + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: {error.strerror}: start a cluster with libelli up, or name another file"
        ) from error
    if len(data) > FILE_SIZE_MAX:
        raise ConfigurationError(f"{path} has more than {FILE_SIZE_MAX:,} bytes, so it is no cluster's file")
    try:
        document = tomllib.loads(data.decode("utf-8"))
        found = msgspec.convert(document, ClusterFile)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{path} cannot be read as a cluster's file: {error}") from error
    if found.version != FILE_VERSION:
        raise ConfigurationError(
            f"{path} has version {found.version}, this software reads {FILE_VERSION}: use the one that wrote it"
        )
    if not found.members:
        raise ConfigurationError(f"{path} names no members: nobody can be asked")
    return found


def write_cluster_file(path: Path, content: ClusterFile) -> None:
    """Puts `content` at `path`, whole or not at all.

    Raises:
        ConfigurationError: it cannot be written.
    """
    document: dict[str, Any] = msgspec.to_builtins(content)
    members: Sequence[dict[str, Any]] = document.pop("members")
    lines = [_HEAD, *toml_lines(document)]
    for member in members:
        lines += ["\n[[members]]\n", *toml_lines(member)]
    ignored = path.with_name(".gitignore")
    if not ignored.exists():
        write_text_file(ignored, _IGNORED)
    write_text_file(path, "".join(lines))


def toml_lines(fields: Mapping[str, Any]) -> Iterator[str]:
    """Yields `name = value` for strings, numbers, truths and lists of them; JSON writes them as TOML does."""
    for name, value in fields.items():
        yield f"{name} = {msgspec.json.encode(value).decode()}\n"


def write_text_file(path: Path, text: str) -> None:
    """Puts `text` at `path` for its owner only, whole or not at all.

    Raises:
        ConfigurationError: it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        unfinished.rename(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
