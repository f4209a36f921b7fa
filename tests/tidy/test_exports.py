"""What a package offers stands in its `__all__`: all of it, sorted, nothing else."""

import ast

import pytest

from tests.tidy.sources import Module, package_snippet, source_modules


def exported(module: Module) -> list[str] | None:
    """The names in `__all__`, or None without one."""
    for node in module.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List() | ast.Tuple() as names):
                return [str(ast.literal_eval(name)) for name in names.elts]
            case _:
                pass
    return None


def offered(module: Module) -> set[str]:
    """The public names that the `__init__` binds."""
    names: set[str] = set()
    for node in module.tree.body:
        match node:
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name.split(".")[0] for alias in aliases}
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case _:
                pass
    return {name for name in names if not name.startswith("_") and name != "TYPE_CHECKING"}


def shelf(name: str) -> tuple[int, str]:
    """Constants first, then classes, then functions, each by name: the order that ruff keeps (RUF022)."""
    if name.isupper():
        return 0, name
    return (1 if name[0].isupper() else 2), name


def export_flaws(module: Module) -> list[str]:
    names, bound = exported(module), offered(module)
    if names is None:
        return [f"{module.path}: offers {sorted(bound)} without an __all__"] if bound else []
    flaws = []
    if len(names) != len(set(names)):
        flaws.append(f"{module.path}: __all__ names something twice")
    if names != sorted(names, key=shelf):
        flaws.append(f"{module.path}: __all__ is not sorted: make format")
    missing, unknown = sorted(bound - set(names)), sorted(set(names) - bound)
    if missing:
        flaws.append(f"{module.path}: __all__ lacks {missing}")
    if unknown:
        flaws.append(f"{module.path}: __all__ promises {unknown}, which is not there")
    return flaws


def test_every_package_exports_what_it_offers_sorted() -> None:
    assert [flaw for module in source_modules() if module.is_package for flaw in export_flaws(module)] == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("from libelli.core.ids import Term", "without an __all__"),
        ("from libelli.core.ids import Term, Index\n__all__ = ['Term', 'Index']", "not sorted"),
        ("from libelli.core.ids import Index, Term\n__all__ = ['Index']", "lacks ['Term']"),
        ("from libelli.core.ids import Index\n__all__ = ['Index', 'Term']", "promises ['Term']"),
        ("from libelli.core.ids import Index\n__all__ = ['Index', 'Index']", "twice"),
    ],
)
def test_a_wrong_export_is_found(text: str, complaint: str) -> None:
    (flaw,) = export_flaws(package_snippet(text))
    assert complaint in flaw


@pytest.mark.parametrize(
    "text",
    [
        '"""Nothing yet."""\n__version__ = "1"',
        "from libelli.core.ids import MAX, Term, term\n__all__ = ['MAX', 'Term', 'term']",
    ],
)
def test_a_right_export_passes(text: str) -> None:
    assert export_flaws(package_snippet(text)) == []
