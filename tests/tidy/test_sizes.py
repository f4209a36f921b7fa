"""Functions and modules stay small enough to be read in one go.

Docstrings do not count in a function: explaining must not cost. Whoever needs more room writes down why.
"""

import ast
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tests.tidy.sources import Module, python_modules, snippet

FUNCTION_LINES_MAX = 60
MODULE_LINES_MAX = 500


class Exemption(NamedTuple):
    lines_max: int
    reason: str


EXEMPTIONS: Mapping[str, Exemption] = {}
"""From `path` or `path::function` to the limit that holds there instead."""


class Size(NamedTuple):
    place: str
    lines: int
    lines_max: int


def sizes(module: Module) -> Iterator[Size]:
    """The module and each function in it; an inner function counts for the outer one too."""
    yield Size(module.path, len(module.text.splitlines()), MODULE_LINES_MAX)
    yield from _function_sizes(module.tree, module.path, "")


def _function_sizes(node: ast.AST, path: str, prefix: str) -> Iterator[Size]:
    for child in ast.iter_child_nodes(node):
        inner = prefix
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inner = f"{prefix}.{child.name}" if prefix else child.name
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Size(f"{path}::{inner}", _lines_without_docstring(child), FUNCTION_LINES_MAX)
        yield from _function_sizes(child, path, inner)


def _lines_without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    match function.body[0]:
        case ast.Expr(value=ast.Constant(value=str())) as docstring:
            return lines - ((docstring.end_lineno or docstring.lineno) - docstring.lineno + 1)
        case _:
            return lines


def too_large(module: Module, exemptions: Mapping[str, Exemption]) -> list[str]:
    found = []
    for size in sizes(module):
        exemption = exemptions.get(size.place)
        lines_max = exemption.lines_max if exemption else size.lines_max
        if size.lines > lines_max:
            found.append(f"{size.place}: {size.lines} lines, at most {lines_max}: split it by concept")
    return found


def stale(modules: list[Module], exemptions: Mapping[str, Exemption]) -> list[str]:
    """Exemptions that nobody needs any more, or that give no reason."""
    needed = {size.place for module in modules for size in sizes(module) if size.lines > size.lines_max}
    unneeded = [f"{place}: needs no exemption" for place in exemptions if place not in needed]
    return unneeded + [f"{place}: gives no reason" for place, each in exemptions.items() if not each.reason]


def test_every_function_and_module_is_small_enough() -> None:
    assert [flaw for module in python_modules() for flaw in too_large(module, EXEMPTIONS)] == []


def test_every_exemption_is_needed_and_has_a_reason() -> None:
    assert stale(python_modules(), EXEMPTIONS) == []


def function_of(lines: int, *, docstring: str = "") -> Module:
    body = ["    pass"] * (lines - 1)
    return snippet("\n".join(["class C:", "  def f():", *([docstring] if docstring else []), *body]))


def test_a_function_of_61_lines_is_too_large() -> None:
    assert too_large(function_of(60), {}) == []
    flaws = too_large(function_of(61), {})
    assert flaws == ["src/libelli/core/example.py::C.f: 61 lines, at most 60: split it by concept"]


def test_a_docstring_costs_nothing() -> None:
    assert too_large(function_of(60, docstring='    """One.\n\n    Two.\n    """'), {}) == []


def test_a_module_of_501_lines_is_too_large() -> None:
    assert too_large(snippet("pass\n" * 500), {}) == []
    assert len(too_large(snippet("pass\n" * 501), {})) == 1


def test_an_exemption_moves_the_limit_and_no_further() -> None:
    exemptions = {"src/libelli/core/example.py::C.f": Exemption(70, "one table")}
    assert too_large(function_of(70), exemptions) == []
    assert len(too_large(function_of(71), exemptions)) == 1


def test_a_stale_or_unexplained_exemption_is_found() -> None:
    place = "src/libelli/core/example.py::C.f"
    assert stale([function_of(70)], {place: Exemption(70, "one table")}) == []
    assert stale([function_of(60)], {place: Exemption(70, "one table")}) == [f"{place}: needs no exemption"]
    assert stale([function_of(70)], {place: Exemption(70, "")}) == [f"{place}: gives no reason"]
