"""The pure packages know no clock, dice, disk, socket, thread or event loop.

What they may import is listed; all else is refused, so that a new library is a decision and not an accident.
"""

import ast
from collections.abc import Iterator

import pytest

from tests.tidy.sources import PACKAGE, PURE_PACKAGES, Module, snippet, source_modules

PURE_LIBRARIES = frozenset(
    {
        "__future__",
        "abc",
        "array",
        "binascii",
        "bisect",
        "collections",
        "contextlib",
        "copy",
        "dataclasses",
        "enum",
        "fractions",
        "functools",
        "hashlib",
        "heapq",
        "itertools",
        "math",
        "msgspec",
        "operator",
        "re",
        "string",
        "struct",
        "types",
        "typing",
        "zlib",
    }
)
"""Values in, values out."""

TYPE_ONLY_LIBRARIES = frozenset({"random"})
"""Seeded generators are handed in; only their type may be named."""

REFUSED_CALLS = {
    "__import__": "imports are stated at the head of the module",
    "breakpoint": "it stops the world",
    "eval": "it can do anything",
    "exec": "it can do anything",
    "hash": "it differs from process to process",
    "id": "it differs from process to process",
    "input": "it reads the terminal",
    "open": "it touches the disk",
    "print": "it writes to the terminal",
}


def impure_imports(module: Module) -> list[str]:
    """What the module imports beside pure libraries and Libelli itself."""
    found = []
    for each in module.imports:
        library = each.source.split(".")[0]
        allowed = PURE_LIBRARIES | ({PACKAGE} if library == PACKAGE else frozenset())
        if each.only_types:
            allowed |= TYPE_ONLY_LIBRARIES
        if library not in allowed:
            found.append(f"{module.path}:{each.line}: imports {each.source!r}, which is not on the pure list")
    return found


def impure_code(module: Module) -> list[str]:
    """Calls, awaits, globals and loops whose outcome does not follow from the arguments alone."""
    return [f"{module.path}:{line}: {why}" for node in ast.walk(module.tree) for line, why in _flaws(node)]


def _flaws(node: ast.AST) -> Iterator[tuple[int, str]]:
    match node:
        case ast.Call(func=ast.Name(id=name)) if name in REFUSED_CALLS:
            yield node.lineno, f"calls {name}(): {REFUSED_CALLS[name]}"
        case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
            yield node.lineno, "waits: a replica answers at once, with effects"
        case ast.Global():
            yield node.lineno, "changes a global: state belongs to the replica"
        case ast.For(iter=source) | ast.comprehension(iter=source) if _is_set(source):
            yield source.lineno, "loops over a set, whose order is not fixed: sort it first"
        case _:
            pass


def _is_set(node: ast.expr) -> bool:
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case _:
            return False


def pure_modules() -> list[Module]:
    return [module for module in source_modules() if module.package in PURE_PACKAGES]


def test_pure_packages_import_only_pure_libraries() -> None:
    assert [flaw for module in pure_modules() for flaw in impure_imports(module)] == []


def test_pure_packages_call_nothing_impure() -> None:
    assert [flaw for module in pure_modules() for flaw in impure_code(module)] == []


@pytest.mark.parametrize(
    "line",
    [
        "import asyncio",
        "import concurrent.futures",
        "import datetime",
        "import grpc",
        "import io",
        "import lmdb",
        "import logging",
        "import os",
        "import random",
        "import secrets",
        "import socket",
        "import ssl",
        "import threading",
        "import time",
        "import uuid",
        "import uvloop",
        "from os import path",
        "from pathlib import Path",
        "from . import sibling",
        "def late():\n    import time",
        "try:\n    import subprocess\nexcept ImportError:\n    pass",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import socket",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    import random",
    ],
)
def test_an_impure_import_is_found_wherever_it_hides(line: str) -> None:
    assert len(impure_imports(snippet(line))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "from collections.abc import Iterator",
        "import msgspec",
        "from libelli.core.ids import NodeId",
        "import typing\nif typing.TYPE_CHECKING:\n    import random",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from random import Random",
    ],
)
def test_a_pure_import_passes(line: str) -> None:
    assert impure_imports(snippet(line)) == []


@pytest.mark.parametrize(
    "line",
    [
        "open('x')",
        "x = hash(y)",
        "sorted(xs, key=lambda x: id(x))",
        "print(1)",
        "async def f(): pass",
        "def f():\n    global x",
        "for x in {1, 2}: pass",
        "ys = [x for x in set(xs)]",
        "for x in frozenset(xs): pass",
    ],
)
def test_impure_code_is_found(line: str) -> None:
    assert len(impure_code(snippet(line))) == 1


@pytest.mark.parametrize("line", ["for x in sorted(set(xs)): pass", "disk.open(1)", "x = 1 in {1, 2}"])
def test_pure_code_passes(line: str) -> None:
    assert impure_code(snippet(line)) == []
