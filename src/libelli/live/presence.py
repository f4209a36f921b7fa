"""Which members of this machine have what they need to be started: their folder, configuration and data."""

import os
from collections.abc import Iterator
from pathlib import Path

from libelli.live.cluster_file import ClusterFile, Place
from libelli.live.configuration import load_configuration
from libelli.live.folder import IDENTITY_NAME
from libelli.live.lock import lock_holder
from libelli.live.replica_files import configuration_path, data_path
from libelli.live.up import environment_of_replicas


def find_gone(folder: Path, content: ClusterFile) -> dict[str, Path]:
    """Returns what is gone, by the name of the member that it belongs to.

    Args:
        folder: of the cluster's file.
        content: what the file says.

    Raises:
        ConfigurationError: a configuration is there and cannot be used; those of members that run are not looked at.
    """
    gone = dict(_find_gone(folder, content))
    for place in content.members:
        if place.folder and place.name not in gone and lock_holder(data_path(folder, place)) is None:
            path = configuration_path(folder, place)
            load_configuration(path, environment=environment_of_replicas(os.environ), flags={})
    return gone


def _find_gone(folder: Path, content: ClusterFile) -> Iterator[tuple[str, Path]]:
    for place in content.members:
        missing = next((path for path in _needed(folder, place) if not path.exists()), None) if place.folder else None
        if missing is not None:
            yield place.name, missing


def _needed(folder: Path, place: Place) -> tuple[Path, ...]:
    data = data_path(folder, place)
    return folder / place.folder, configuration_path(folder, place), data, data / IDENTITY_NAME
