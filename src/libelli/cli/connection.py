"""How a command reaches a cluster: by the options, or by the cluster's file that is found from here."""

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from libelli.core.errors import CertificateError, ConfigurationError

if TYPE_CHECKING:
    from libelli.cli.settings import Settings
    from libelli.client import Client


def cluster_file_path(given: Path | None) -> Path | None:
    """Returns the cluster's file that was named, or that is found from the current folder; None: there is none."""
    from libelli.live.cluster_file import find_cluster_file

    return given if given is not None else find_cluster_file(Path.cwd())


OTHERS = 0o077


def require_private(bundle: Path) -> None:
    """Refuses a bundle that others than its owner can use, as ssh refuses such a key.

    Raises:
        CertificateError: they can, or it is not there.
    """
    try:
        mode = stat.S_IMODE(bundle.stat().st_mode)
    except OSError as error:
        raise CertificateError(f"{bundle}: {error.strerror}: name another with --certificates") from error
    if mode & OTHERS:
        raise CertificateError(f"{bundle} has mode {mode:04o}, so others may use it: chmod 600 {bundle}")


def connect(settings: "Settings") -> "Client":
    """Returns a client of the cluster that the settings name.

    Raises:
        ConfigurationError: no cluster is named and none is found, or its files cannot be used.
    """
    from libelli.client import Client

    endpoints, bundle, cluster, is_plain = settings.endpoint, settings.certificates, "", settings.plain
    path = cluster_file_path(settings.cluster)
    if path is not None and (not endpoints or bundle is None):
        from libelli.live.cluster_file import read_cluster_file

        found = read_cluster_file(path)
        if not endpoints:
            endpoints, cluster = tuple(place.client for place in found.members), found.cluster
        is_plain = is_plain or (bundle is None and not found.bundle)
        if bundle is None and found.bundle:
            bundle = path.parent / found.bundle
    if not endpoints:
        raise ConfigurationError(
            f"no cluster is known here: {Path.cwd()} and the folders above have no .libelli/cluster.toml; start one "
            "with libelli up, or name one with --cluster FILE or --endpoint HOST:PORT"
        )
    if bundle is None and not is_plain:
        raise ConfigurationError(
            "no certificate to identify with: name a bundle with --certificates FILE (libelli ca issue makes one); "
            "--plain speaks plain text, on this machine only"
        )
    if bundle is not None and not is_plain:
        require_private(bundle)
    return Client(
        endpoints=endpoints,
        certificates=None if is_plain else bundle,
        collection=settings.collection,
        cluster=cluster,
        timeout_ms=settings.timeout_ms,
    )
