"""Makes a cluster whose replicas all run on this machine: names, ports, certificates and configuration files.

Nothing is started here, and what is there already is never changed: `ensure_cluster` on a folder with a cluster only
renews what is about to expire.
"""

import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from libelli.core.errors import ConfigurationError
from libelli.core.ids import ClusterId
from libelli.core.limits import MEMBERS_MAX
from libelli.live.addresses import Address, parse_address
from libelli.live.certificates import ensure_cluster_certificates
from libelli.live.cluster_file import (
    FILE_VERSION,
    NAME,
    ClusterFile,
    Place,
    read_cluster_file,
    write_cluster_file,
)
from libelli.live.folder import IDENTITY_NAME, Beginning, Stage, read_folder
from libelli.live.replica_files import begin_data, data_path, write_replica_configuration

REGIONS_DEFAULT = ("frankfurt", "virginia", "singapore")
HOST = "127.0.0.1"
PORT_DEFAULT = 7400
PORTS_STEP = 10
PORT_MAX = 65_535
CERTIFICATES = "certificates"
CLIENT_NAME = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a new cluster is to be like.

    Attributes:
        replicas: how many.
        regions: one a replica; fewer are dealt out in turn.
        port: the first one that may be used; taken ones are left out.
        host: where nodes and clients reach the replicas: this machine, or the one that the folder is copied to.
        is_plain: without TLS.
    """

    replicas: int = 3
    regions: tuple[str, ...] = REGIONS_DEFAULT
    port: int = PORT_DEFAULT
    host: str = HOST
    is_plain: bool = False

    def check(self) -> None:
        """Refuses what cannot be.

        Raises:
            ConfigurationError: a number is outside its limits.
        """
        if not 1 <= self.replicas <= MEMBERS_MAX:
            raise ConfigurationError(f"{self.replicas} replicas: a cluster has 1 to {MEMBERS_MAX}")
        parse_address(str(Address(self.host, self.port)), what="host")
        if not self.regions or not all(self.regions):
            raise ConfigurationError("a region has no name: give each one with --region NAME")


def draw_cluster_id() -> ClusterId:
    """Returns an id that no other cluster has."""
    return ClusterId(secrets.token_hex(16))


def ensure_cluster(folder: Path, wish: Wish) -> tuple[Path, ClusterFile, bool]:
    """Returns the cluster in `folder`, made when there is none: its file, what that says, and whether it is new.

    Raises:
        ConfigurationError: the wish or the folder cannot be used.
    """
    path = folder / NAME
    if not path.exists():
        return path, found_cluster(folder, wish, cluster=draw_cluster_id()), True
    found = read_cluster_file(path)
    ensure_certificates(folder, found)
    return path, found, False


def found_cluster(folder: Path, wish: Wish, *, cluster: ClusterId) -> ClusterFile:
    """Makes the files of a new cluster in `folder`; its own file is written last, so an unfinished try is made again.

    Raises:
        ConfigurationError: the wish or the folder cannot be used.
    """
    content = plan_cluster(wish, cluster=cluster)
    for place in content.members:
        _clear_unfinished(folder, place)
    ensure_certificates(folder, content)
    for place in content.members:
        write_replica_configuration(folder, content, place)
        begin_data(folder, content, place, beginning=Beginning.FOUND)
    write_cluster_file(folder / NAME, content)
    return content


def plan_cluster(wish: Wish, *, cluster: ClusterId) -> ClusterFile:
    """Returns what the file of such a cluster says; nothing is made.

    Raises:
        ConfigurationError: the wish cannot be.
    """
    wish.check()
    bundle = "" if wish.is_plain else f"{CERTIFICATES}/bundles/{CLIENT_NAME}.pem"
    return ClusterFile(version=FILE_VERSION, cluster=cluster, bundle=bundle, members=tuple(_places(wish)))


def _clear_unfinished(folder: Path, place: Place) -> None:
    """Takes back what a try to found that did not come to its end said in a data folder; nobody can have used it.

    Raises:
        ConfigurationError: the data folder is in use.
    """
    data = data_path(folder, place)
    there = read_folder(data)
    if there is not None and there.stage is not Stage.NEW:
        raise ConfigurationError(
            f"{data} holds data of cluster {there.cluster}, and {folder / NAME} is gone: put that back from a copy, or "
            "choose another folder with --data"
        )
    (data / IDENTITY_NAME).unlink(missing_ok=True)


def ensure_certificates(folder: Path, content: ClusterFile) -> None:
    """Makes and renews the certificates of the members that run here; nothing for a cluster in plain text.

    Raises:
        CertificateError: the authority in `folder` cannot be used.
    """
    home = folder / CERTIFICATES
    if content.bundle:
        ensure_cluster_certificates(home, peers=peers_of(content), client=CLIENT_NAME)


def peers_of(content: ClusterFile) -> Mapping[str, Sequence[str]]:
    """Returns names of the members that run here, and the hosts that their certificates are for."""
    return {place.name: hosts_of(place) for place in content.members if place.folder}


def hosts_of(place: Place) -> tuple[str, ...]:
    """Returns the hosts at which a member is reached, each once."""
    addresses = (place.peer, place.client, place.grpc)
    hosts = [parse_address(address).host for address in addresses if address]
    return tuple(dict.fromkeys([*hosts, "localhost"] if HOST in hosts else hosts))


def next_place(content: ClusterFile, *, name: str, region: str, node: int = 0) -> Place:
    """Returns a further member on this machine, with ports that nobody has.

    Raises:
        ConfigurationError: no ports are left.
    """
    taken = {parse_address(address).port for place in content.members for address in _addresses(place)}
    first = max((port for port in taken if port), default=PORT_DEFAULT) // PORTS_STEP * PORTS_STEP + PORTS_STEP
    host = parse_address(content.members[0].peer).host
    return _place(next(_free_blocks(first)), host=host, name=name, region=region, node=node)


def _places(wish: Wish) -> Iterator[Place]:
    blocks = _free_blocks(wish.port)
    for number in range(1, wish.replicas + 1):
        region = wish.regions[(number - 1) % len(wish.regions)]
        yield _place(next(blocks), host=wish.host, name=f"n{number}", region=region, node=number)


def _place(block: int, *, host: str, name: str, region: str, node: int) -> Place:
    peer, client, grpc = (str(Address(host, block + offset)) for offset in range(3))
    http = f"{HOST}:{block + 3}"
    return Place(node=node, name=name, region=region, peer=peer, client=client, grpc=grpc, http=http, folder=name)


def _addresses(place: Place) -> tuple[str, ...]:
    return tuple(address for address in (place.peer, place.client, place.grpc, place.http) if address)


def _free_blocks(first: int) -> Iterator[int]:
    """Yields first ports of blocks whose ports nobody listens on."""
    for block in range(first, PORT_MAX - PORTS_STEP, PORTS_STEP):
        if all(_is_free(block + offset) for offset in range(4)):
            yield block
    raise ConfigurationError(f"no free ports from {first} to {PORT_MAX} are left: choose another --port")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
