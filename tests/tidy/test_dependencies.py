"""What the code imports is what the project declares: nothing comes by way of another package."""

import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import packages_distributions

import pytest

from tests.tidy.sources import PACKAGE, ROOT, Module, python_modules, snippet

BENCH = f"src/{PACKAGE}/lab/bench/"


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def declared() -> Mapping[str, frozenset[str]]:
    """From the part of the tree to the distributions that it may import."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runtime = _names(project["dependencies"])
    bench = runtime | _names(project["optional-dependencies"]["bench"])
    dev = bench | _names(project["optional-dependencies"]["dev"])
    return {"runtime": runtime, "bench": bench, "dev": dev}


def _names(requirements: Sequence[str]) -> frozenset[str]:
    return frozenset(canonical(re.split(r"[ \[<>=!~;]", each, maxsplit=1)[0]) for each in requirements)


def part_of(path: str) -> str:
    if path.startswith(BENCH):
        return "bench"
    return "runtime" if path.startswith("src/") else "dev"


def undeclared(module: Module, sources: Mapping[str, Sequence[str]]) -> list[str]:
    """Imports of distributions that pyproject.toml does not name for this part of the tree."""
    part = part_of(module.path)
    allowed = declared()[part]
    found = []
    for each in module.imports:
        library = each.source.split(".")[0]
        if library in {PACKAGE, "tests"} or library in sys.stdlib_module_names:
            continue
        owners = {canonical(name) for name in sources.get(library, ())}
        if library == "google":  # a namespace that several distributions share
            owners &= {"protobuf"}
        if not owners & allowed:
            found.append(f"{module.path}:{each.line}: {library!r} is no declared {part} dependency")
    return found


def test_every_import_is_a_declared_dependency() -> None:
    sources = packages_distributions()
    assert [flaw for module in python_modules() for flaw in undeclared(module, sources)] == []


@pytest.mark.parametrize("line", ["import click", "import pytest", "import pysyncobj", "import missing"])
def test_an_undeclared_import_is_found(line: str) -> None:
    assert len(undeclared(snippet(line), packages_distributions())) == 1


@pytest.mark.parametrize("line", ["import msgspec", "from google.protobuf import message", "import json"])
def test_a_declared_import_passes(line: str) -> None:
    assert undeclared(snippet(line), packages_distributions()) == []


def test_the_benchmark_may_import_its_own_extra() -> None:
    module = snippet("import pysyncobj", name="libelli.lab.bench.example")
    assert undeclared(module, packages_distributions()) == []


def test_every_declared_dependency_is_locked() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = {canonical(name) for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    assert declared()["dev"] - locked == set()
