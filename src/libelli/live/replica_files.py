"""The folder of one replica beside the cluster's file: its configuration, its data, its log.

The configuration is what `libelli serve --config` reads. It never says how to begin: a replica's data folder is begun
here, once, so that a folder that was lost later is noticed and not begun again.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from libelli.core.ids import ClusterId, NodeId
from libelli.core.members import Member
from libelli.host.identity import Identity
from libelli.live.cluster_file import ClusterFile, Place, toml_lines, write_text_file
from libelli.live.folder import Beginning, open_folder

CONFIGURATION_NAME = "libelli.toml"
DATA_NAME = "data"
LOG_NAME = "libelli.log"
REPLICA_OPTIONS = (
    *("name", "cluster_id", "data", "certificates", "plain"),
    *("listen_peer", "listen_client", "listen_grpc", "listen_metrics"),
)
"""Options that tell one replica from another."""
_HEAD = """\
# A replica of this cluster; start it with: libelli serve --config THIS_FILE
# Every option of `libelli serve --help` may be added here, with _ in place of -.

"""


def configuration_path(folder: Path, place: Place) -> Path:
    """Returns where the configuration of a replica is; `folder` is that of the cluster's file."""
    return folder / place.folder / CONFIGURATION_NAME


def data_path(folder: Path, place: Place) -> Path:
    """Returns where the data of a replica is."""
    return folder / place.folder / DATA_NAME


def log_path(folder: Path, place: Place) -> Path:
    """Returns where a replica logs when it was not started by hand."""
    return folder / place.folder / LOG_NAME


def bundle_path(folder: Path, content: ClusterFile, place: Place) -> Path | None:
    """Returns where the certificate of a replica is; None for plain text."""
    return (folder / content.bundle).with_name(f"{place.name}.pem") if content.bundle else None


def write_replica_configuration(folder: Path, content: ClusterFile, place: Place) -> None:
    """Writes the configuration of a replica.

    Raises:
        ConfigurationError: it cannot be written.
    """
    own: dict[str, object] = {
        "name": place.name,
        "cluster_id": content.cluster,
        "data": DATA_NAME,
        "listen_metrics": place.http,
    }
    bundle = bundle_path(folder, content, place)
    if bundle is not None:
        own["certificates"] = str(Path("..") / bundle.relative_to(folder))
    else:
        own["plain"] = True
    lines = [_HEAD, *toml_lines(own)]
    for member in content.members:
        lines += ["\n[[members]]\n", *toml_lines(_member_fields(member))]
    write_text_file(configuration_path(folder, place), "".join(lines))


def begin_data(folder: Path, content: ClusterFile, place: Place, *, beginning: Beginning) -> None:
    """Makes the empty data folder of a replica, and says in it what it is the beginning of.

    Args:
        folder: of the cluster's file.
        content: what that says.
        place: whose data.
        beginning: to found the cluster with all its members, or to join it.

    Raises:
        StorageError: the folder is somebody's already, or cannot be made.
    """
    path = data_path(folder, place)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    open_folder(path, identity=identity_of(content, place), beginning=beginning, members=members_of(content))


def identity_of(content: ClusterFile, place: Place) -> Identity:
    """Returns who a replica is."""
    return Identity(ClusterId(content.cluster), NodeId(place.node), place.name, place.region)


def members_of(content: ClusterFile) -> tuple[Member, ...]:
    """Returns all members."""
    return tuple(place.member() for place in content.members)


def _member_fields(place: Place) -> Mapping[str, object]:
    fields = msgspec.to_builtins(place)
    return {name: fields[name] for name in ("node", "name", "region", "peer", "client", "grpc") if fields[name] != ""}
