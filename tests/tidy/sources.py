"""The project's own files as the tidy rules see them: parsed, never imported.

A rule is a function from a `Module` to complaints. It is run over every module of the project, and over a bad
snippet, which shows that it bites.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "libelli"
PURE_PACKAGES = ("core", "protocols", "stores", "host")
GENERATED_SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")
TEXT_FOLDERS = ("src", "tests", "scripts", "packaging", "docs", ".ci")
TEXT_SUFFIXES = frozenset({".md", ".proto", ".py", ".service", ".sh", ".toml", ".txt", ".yml", ""})


@dataclass(frozen=True)
class Import:
    """One imported name: `from a.b import c` is (a.b, c), `import a.b` is (a.b, None)."""

    source: str
    name: str | None
    line: int
    only_types: bool


@dataclass(frozen=True)
class Module:
    """One Python file: its dotted name (src only), its path from the root, and its text."""

    name: str
    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=self.path)

    @property
    def package(self) -> str:
        """`raft` of `libelli.protocols.raft` is in `protocols`; the root package is in ``."""
        parts = self.name.split(".")
        return parts[1] if len(parts) > 1 else ""

    @property
    def is_package(self) -> bool:
        return self.path.endswith("__init__.py")

    @cached_property
    def imports(self) -> tuple[Import, ...]:
        return tuple(_imports_below(self.tree, only_types=False))


def snippet(text: str, name: str = "libelli.core.example") -> Module:
    """A module that exists only in a test."""
    return Module(name=name, path=f"src/{name.replace('.', '/')}.py", text=text)


def package_snippet(text: str, name: str = "libelli.core") -> Module:
    """The `__init__` of a package that exists only in a test."""
    return Module(name=name, path=f"src/{name.replace('.', '/')}/__init__.py", text=text)


@cache
def source_modules() -> list[Module]:
    """Every module under src that people write; generated code is left out."""
    return [_read(path, name=_dotted(path)) for path in _python_files("src")]


@cache
def python_modules() -> list[Module]:
    """Every Python file that people write, tests and scripts too."""
    outside = [_read(path, name="") for folder in ("tests", "scripts") for path in _python_files(folder)]
    return source_modules() + outside


def text_files() -> list[Path]:
    """Every file that people read: code, tests, scripts and documents."""
    inside = [path for folder in TEXT_FOLDERS for path in _files(folder) if path.suffix in TEXT_SUFFIXES]
    return sorted([*ROOT.glob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml", *inside])


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _files(folder: str) -> list[Path]:
    found = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return sorted(path for path in found if not path.name.endswith(GENERATED_SUFFIXES))


def _python_files(folder: str) -> list[Path]:
    return [path for path in _files(folder) if path.suffix == ".py"]


def _read(path: Path, *, name: str) -> Module:
    return Module(name=name, path=relative(path), text=path.read_text(encoding="utf-8"))


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports_below(node: ast.AST, *, only_types: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, None, child.lineno, only_types)
        elif isinstance(child, ast.ImportFrom):
            source = "." * child.level + (child.module or "")
            for alias in child.names:
                yield Import(source, alias.name, child.lineno, only_types)
        elif isinstance(child, ast.If) and _is_type_checking(child.test):
            for inner in child.body:
                yield from _imports_below(ast.Module([inner], []), only_types=True)
            for inner in child.orelse:
                yield from _imports_below(ast.Module([inner], []), only_types=only_types)
        else:
            yield from _imports_below(child, only_types=only_types)


def _is_type_checking(test: ast.expr) -> bool:
    match test:
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return True
        case _:
            return False
