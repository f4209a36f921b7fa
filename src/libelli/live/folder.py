"""What a data folder is and whose: the file `identity.json`, written once when a node begins.

::

    FOLDER/lock             held while a process uses the folder
          identity.json     cluster, number and name of the node; the members that founded the cluster
          log/              segments of the write-ahead log
          checkpoint-1/     tables of group 1

A node that loses its folder has forgotten what it promised: its vote, and entries that it acknowledged. Under its
old number it could help to elect a leader that lacks them. So an empty folder is never taken for the begin of
things: founding a cluster and joining one are both asked for, and once the log has begun, a folder without it is
refused.

Source: Ongaro, Consensus: Bridging Theory and Practice (2014), §11.7.2: a server without its disk must come back
as a new member.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from libelli.core.errors import ForeignError, StorageError
from libelli.core.ids import ClusterId, NodeId
from libelli.core.members import Configuration, Member
from libelli.host.identity import Identity
from libelli.host.log.layout import segment_number
from libelli.live.certificates.errors import FileError
from libelli.live.certificates.files import SECRET_MODE, write_file

IDENTITY_NAME = "identity.json"
LOG_NAME = "log"
FOLDER_VERSION = 1


class Beginning(StrEnum):
    """What an empty folder is the beginning of."""

    REFUSED = "refused"
    """Of nothing: the folder should hold data."""
    FOUND = "found"
    """Of a cluster, together with all other members that are configured."""
    JOIN = "join"
    """Of a member that was added to a cluster that is there already."""


class Stage(StrEnum):
    """How far a folder is."""

    NEW = "new"
    """Nothing was promised yet; there may be no log."""
    IN_USE = "in use"
    """There must be a log."""


class FolderMember(Struct, frozen=True, kw_only=True):
    """A founding member, with names for whoever reads the file."""

    node: int
    name: str
    region: str = ""
    peer: str = ""
    client: str = ""
    grpc: str = ""


class Folder(Struct, frozen=True, kw_only=True):
    """What `identity.json` says.

    Attributes:
        founding: empty for a node that joined.
    """

    version: int
    cluster: str
    node: int
    name: str
    stage: Stage
    founding: tuple[FolderMember, ...] = ()

    @property
    def founding_configuration(self) -> Configuration:
        """The members that the cluster began with."""
        return Configuration(
            tuple(
                Member(NodeId(each.node), each.name, each.region, each.peer, each.client, each.grpc)
                for each in self.founding
            )
        )


def read_folder(path: Path) -> Folder | None:
    """Returns what the folder says it is, or None when it says nothing.

    Raises:
        StorageError: it cannot be read, or was written by another version.
    """
    file = path / IDENTITY_NAME
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"{file}: {error.strerror}: mend that, then start again") from error
    try:
        version = msgspec.json.decode(data, type=_Versioned).version
        if version != FOLDER_VERSION:
            raise ForeignError(
                f"{file} has version {version}, this libelli reads {FOLDER_VERSION}: start it with the version that"
                " wrote it"
            )
        return msgspec.json.decode(data, type=Folder)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StorageError(
            f"{file} is damaged ({error}): put it back from a copy, or remove the member and add a new one"
        ) from error


def write_folder(path: Path, folder: Folder) -> None:
    """Makes `identity.json` say `folder`, durably.

    Raises:
        StorageError: it cannot be written.
    """
    data = msgspec.json.format(msgspec.json.encode(folder), indent=2) + b"\n"
    try:
        write_file(path / IDENTITY_NAME, data, mode=SECRET_MODE)
    except FileError as error:
        raise StorageError(str(error)) from error


def open_folder(path: Path, *, identity: Identity, beginning: Beginning, members: tuple[Member, ...]) -> Folder:
    """Returns what is in the folder, after making sure that it is this node's and whole; begins an empty one.

    Args:
        path: the data folder; it exists.
        identity: who this node is by its configuration.
        beginning: what to make of an empty folder.
        members: all founding members, for `Beginning.FOUND`.

    Raises:
        ForeignError: the folder belongs to another cluster or node.
        StorageError: it is empty and should not be, or the other way round, or it lacks its log.
    """
    folder = read_folder(path)
    has_log = _has_log(path)
    if folder is None:
        if has_log:
            raise StorageError(f"{path} has a log and no {IDENTITY_NAME}: put it back from a copy, or {ANEW}")
        return _begin(path, identity, beginning, members)
    _require_own(path, folder, identity)
    if folder.stage is Stage.IN_USE and not has_log:
        raise StorageError(f"{path / LOG_NAME} has lost its segments, and this node what it promised with them: {ANEW}")
    if folder.stage is Stage.NEW and has_log:
        folder = mark_in_use(path, folder)
    return folder


def mark_in_use(path: Path, folder: Folder) -> Folder:
    """Notes that the log has begun, before anything of it is answered for."""
    used = msgspec.structs.replace(folder, stage=Stage.IN_USE)
    write_folder(path, used)
    return used


ANEW = (
    "keep the folder for inspection, remove the member (libelli member remove) and add it anew under a new name,"
    " with an empty folder and --begin join"
)


class _Versioned(Struct):
    version: int


def _has_log(path: Path) -> bool:
    try:
        return any(segment_number(file.name) is not None for file in (path / LOG_NAME).iterdir())
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StorageError(f"{path / LOG_NAME}: {error.strerror}: mend that, then start again") from error


def _begin(path: Path, identity: Identity, beginning: Beginning, members: tuple[Member, ...]) -> Folder:
    if beginning is Beginning.REFUSED:
        raise StorageError(
            f"data folder {path} is empty. If {identity.name!r} never ran before, say --begin found (with all other"
            " members of a new cluster) or --begin join (it was added to a cluster with libelli member add). If its"
            " data is lost,"
            f" do neither: {ANEW}"
        )
    founders = members if beginning is Beginning.FOUND else ()
    folder = Folder(
        version=FOLDER_VERSION,
        cluster=identity.cluster,
        node=identity.node,
        name=identity.name,
        stage=Stage.NEW,
        founding=tuple(
            FolderMember(
                node=each.node, name=each.name, region=each.region,
                peer=each.peer_address, client=each.client_address, grpc=each.grpc_address,
            )
            for each in founders
        ),
    )  # fmt: skip
    write_folder(path, folder)
    return folder


def _require_own(path: Path, folder: Folder, identity: Identity) -> None:
    found: Mapping[str, object] = {"cluster": folder.cluster, "number": folder.node, "name": folder.name}
    wanted: Mapping[str, object] = {
        "cluster": ClusterId(identity.cluster), "number": identity.node, "name": identity.name,
    }  # fmt: skip
    for what, value in found.items():
        if value != wanted[what]:
            raise ForeignError(
                f"data folder {path} belongs to node {folder.name!r}, number {folder.node} of cluster {folder.cluster};"
                f" the configuration says {what} {wanted[what]}: give each node the folder that is its own"
            )
