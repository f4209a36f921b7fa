"""Arrows point inward: what a package may import, and that no two modules import each other.

doors, tools   api client files lab console data cli
twins          sim | live
host
inside         protocols  stores
heart          core
"""

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.tidy.sources import PACKAGE, Import, Module, package_snippet, snippet, source_modules

MAY_IMPORT: Mapping[str, frozenset[str]] = {
    "": frozenset(),
    "core": frozenset(),
    "protocols": frozenset({"core"}),
    "stores": frozenset({"core"}),
    "host": frozenset({"core", "protocols", "stores"}),
    "check": frozenset({"core", "stores"}),
    "client": frozenset({"core", "stores"}),
}
"""A package beside itself; one that is not listed may import all that MAY_NOT_IMPORT leaves it."""

MAY_NOT_IMPORT: Mapping[str, frozenset[str]] = {
    "sim": frozenset({"api", "cli", "console", "lab", "live"}),
    "live": frozenset({"cli", "console", "lab", "sim"}),
    "api": frozenset({"cli", "console", "lab", "sim"}),
    "files": frozenset({"cli", "console", "lab", "live", "sim"}),
    "lab": frozenset({"cli"}),
}


def target_of(each: Import, names: frozenset[str]) -> str:
    """The module that an import reads: `from a import b` reads a.b where that is a module, else a."""
    whole = f"{each.source}.{each.name}"
    return whole if whole in names else each.source


def outward_arrows(module: Module) -> list[str]:
    """Imports of our own packages that the layers forbid, those for types too."""
    found = []
    for each in module.imports:
        parts = each.source.split(".")
        if parts[0] != PACKAGE:
            continue
        target = parts[1] if len(parts) > 1 else each.name or ""
        if target.startswith("__") or target == module.package:
            continue
        allowed = target in MAY_IMPORT.get(module.package, frozenset({target}))
        if not allowed or target in MAY_NOT_IMPORT.get(module.package, frozenset()):
            found.append(f"{module.path}:{each.line}: {module.package or PACKAGE} may not import {target}")
    return found


def cycle(modules: Sequence[Module]) -> list[str]:
    """Names of modules that import each other in a ring, the first again at the end; empty without one."""
    names = frozenset(module.name for module in modules)
    graph: dict[str, set[str]] = {module.name: set() for module in modules}
    for module in modules:
        for each in module.imports:
            target = target_of(each, names)
            if not each.only_types and target in names:
                graph[module.name].add(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_arrows_point_inward() -> None:
    assert [flaw for module in source_modules() for flaw in outward_arrows(module)] == []


def test_no_two_modules_import_each_other() -> None:
    assert cycle(source_modules()) == []


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("core", "from libelli.host.groups import Groups"),
        ("core", "import libelli.live.node"),
        ("core", "from libelli import stores"),
        ("protocols", "from libelli.stores.mvcc import Store"),
        ("stores", "from libelli.protocols.raft import Replica"),
        ("host", "from libelli.live.disk import Disk"),
        ("sim", "from libelli.live.disk import Disk"),
        ("live", "from libelli.sim.disk import Disk"),
        ("live", "def late():\n    from libelli.sim.disk import Disk"),
        ("client", "from libelli.live.streams import Stream"),
        ("client", "from libelli.sim.network import Network"),
        ("core", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from libelli.host import Host"),
    ],
)
def test_an_outward_arrow_is_found(package: str, line: str) -> None:
    assert len(outward_arrows(snippet(line, name=f"{PACKAGE}.{package}.example"))) == 1


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("core", "from libelli.core.ids import NodeId"),
        ("core", "from libelli import __version__"),
        ("host", "from libelli.protocols.raft import Replica"),
        ("sim", "from libelli.host import Host"),
        ("cli", "from libelli.live.node import Node"),
    ],
)
def test_an_inward_arrow_passes(package: str, line: str) -> None:
    assert outward_arrows(snippet(line, name=f"{PACKAGE}.{package}.example")) == []


def test_a_ring_of_imports_is_found() -> None:
    ring = [
        snippet("from libelli.core.b import x", name="libelli.core.a"),
        snippet("from libelli.core import c", name="libelli.core.b"),
        snippet("def late():\n    import libelli.core.a", name="libelli.core.c"),
    ]
    assert set(cycle(ring)) == {"libelli.core.a", "libelli.core.b", "libelli.core.c"}


def test_a_module_that_imports_from_the_package_that_exports_it_is_a_ring() -> None:
    ring = [
        package_snippet("from libelli.core.a import x"),
        snippet("from libelli.core import y", name="libelli.core.a"),
    ]
    assert set(cycle(ring)) == {"libelli.core", "libelli.core.a"}


def test_a_chain_of_imports_is_no_ring() -> None:
    chain = [
        package_snippet("from libelli.core.a import x"),
        snippet("from libelli.core.b import y", name="libelli.core.a"),
        snippet("import libelli.core.missing", name="libelli.core.b"),
    ]
    assert cycle(chain) == []
