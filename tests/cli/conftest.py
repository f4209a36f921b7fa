"""A shell for the tests of commands."""

import pytest

from tests.cli.commands import Shell


@pytest.fixture
def shell(capfd: pytest.CaptureFixture[str]) -> Shell:
    """Runs commands that need no cluster, or look for one."""
    return Shell(capfd)
