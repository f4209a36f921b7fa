"""Shells for the tests of commands."""

import pytest

from tests.cli.commands import Shell
from tests.cli.fakes import FakeClient, connecting_to


@pytest.fixture
def shell(capfd: pytest.CaptureFixture[str]) -> Shell:
    """Runs commands that need no cluster, or look for one."""
    return Shell(capfd)


@pytest.fixture
def client() -> FakeClient:
    """An empty store in memory."""
    return FakeClient()


@pytest.fixture
def libelli(capfd: pytest.CaptureFixture[str], client: FakeClient) -> Shell:
    """Runs commands against `client`."""
    return Shell(capfd, connecting_to(client))
