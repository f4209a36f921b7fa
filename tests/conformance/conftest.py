"""Every test here runs over every kind of checkpoint."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.kept import KINDS, Kept


@pytest.fixture(params=sorted(KINDS))
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    made = KINDS[request.param](tmp_path)
    yield made
    made.close()
