"""A further replica of a cluster on this machine: its ports, certificate and configuration."""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from libelli.cli.usage import UsageError
from libelli.core.errors import ConfigurationError

if TYPE_CHECKING:
    from libelli.live.cluster_file import ClusterFile, Place


class Growth:
    """Prepares a member that is to run on this machine.

    Args:
        path: of the cluster's file.
        content: what that says.
    """

    def __init__(self, path: Path, content: "ClusterFile") -> None:
        self._path = path
        self._content = content
        self._place: Place | None = None

    @classmethod
    def here(cls, cluster: Path | None) -> "Growth":
        """Returns the growth of the cluster whose file is named, or found from here.

        Raises:
            UsageError: there is none, so the member's addresses have to be given.
            ConfigurationError: the file cannot be used.
        """
        from libelli.cli.connection import cluster_file_path
        from libelli.live.cluster_file import read_cluster_file

        path = cluster_file_path(cluster)
        if path is None:
            raise UsageError("no cluster's file is found from here: say where the member is reached (--peer, --client)")
        return cls(path, read_cluster_file(path))

    @property
    def place(self) -> "Place":
        """The new member, once it is prepared; without its number."""
        if self._place is None:
            raise RuntimeError("nothing is prepared yet")
        return self._place

    def prepare(self, name: str, *, region: str) -> None:
        """Chooses ports and makes the certificate; nobody knows of the member yet.

        Raises:
            ConfigurationError: the name is taken, or the authority cannot issue.
        """
        from libelli.live.certificates import Authority, IssueRequest, Kind
        from libelli.live.founding import CERTIFICATES, hosts_of, next_place

        if any(place.name == name for place in self._content.members):
            raise ConfigurationError(f"{name} is in {self._path} already: choose another name")
        if not name or "/" in name or name.startswith("."):
            raise UsageError(f"name {name!r} cannot be a folder's: use letters, digits and -")
        self._place = next_place(self._content, name=name, region=region)
        home = self._path.parent / CERTIFICATES
        if self._content.bundle:
            authority = Authority.open(home)
            if authority.find(name) is None:
                authority.issue(IssueRequest(name=name, kind=Kind.PEER, addresses=hosts_of(self._place)))

    def finish(self, node: int) -> str:
        """Writes configuration, data folder and the cluster's file; returns the command that starts the member.

        Raises:
            ConfigurationError: a file cannot be written.
            StorageError: the data folder is somebody's already.
        """
        from libelli.cli.hints import serve_line
        from libelli.live.cluster_file import write_cluster_file
        from libelli.live.folder import Beginning
        from libelli.live.replica_files import begin_data, write_replica_configuration

        place = msgspec.structs.replace(self.place, node=node)
        content = self._content.with_member(place)
        folder = self._path.parent
        write_replica_configuration(folder, content, place)
        begin_data(folder, content, place, beginning=Beginning.JOIN)
        write_cluster_file(self._path, content)
        return serve_line(folder, place)
