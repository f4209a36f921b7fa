"""The wheel that users install holds all that the package needs, and nothing else."""

import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

import libelli
from tests.tidy.sources import ROOT

pytestmark = pytest.mark.slow  # builds a wheel: a second or two

SHIPPED_SUFFIXES = frozenset({".css", ".html", ".js", ".proto", ".py", ".pyi", ".svg", ".typed"})


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, timeout=300, capture_output=True)
    (built,) = out.iterdir()
    return built


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    files = (path for path in (ROOT / "src" / "libelli").rglob("*") if path.suffix in SHIPPED_SUFFIXES)
    shipped = {path.relative_to(ROOT / "src").as_posix() for path in files}
    assert shipped - names_in(wheel) == set()
    assert "libelli/py.typed" in shipped


def test_the_wheel_holds_nothing_but_the_package_and_its_metadata(wheel: Path) -> None:
    tops = {PurePosixPath(name).parts[0] for name in names_in(wheel)}
    assert sorted(top.split("-")[0] for top in tops) == ["libelli", "libelli"]
    assert not [name for name in names_in(wheel) if name.endswith((".pyc", ".pem", ".key"))]


def test_the_wheel_carries_licence_version_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        texts = {PurePosixPath(name).name: archive.read(name).decode() for name in archive.namelist()}
    assert "Apache License" in texts["LICENSE"]
    assert "License-Expression: Apache-2.0" in texts["METADATA"]
    assert f"Version: {libelli.__version__}" in texts["METADATA"]
    assert "libelli = libelli.cli:main" in texts["entry_points.txt"]
