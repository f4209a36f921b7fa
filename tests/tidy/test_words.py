"""Words and names that the project does without, in code, tests and documents.

This module names them, so it is the one file that is not searched.
"""

import re
from itertools import chain
from pathlib import Path, PurePosixPath

import pytest

from tests.tidy.sources import relative, text_files

EMPTY_NAMES = frozenset(
    {"base", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"},
)
"""Names of modules and folders that say nothing about what is inside."""

REFUSED_WORDS = {
    r"\bblazing": "boasts: give a number, its unit and its command",
    r"\brobust(ly|ness)?\b": "boasts: say which fault is survived",
    r"\bseamless(ly)?\b": "boasts: say what the user need not do",
    r"\b(TODO|FIXME|XXX)\b(?!\(\w+\): \S)": "has no owner or no text: write TODO(name): what and when",
    r"(?<![\w.*}])/(Users|builds|home|root|work|workspace)/\w": "is a path of one machine",
}


def word_flaws(path: str, text: str) -> list[str]:
    """At most one flaw a line."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern, why in REFUSED_WORDS.items():
            word = re.search(pattern, line, re.IGNORECASE if pattern.islower() else 0)
            if word:
                found.append(f"{path}:{number}: {word.group()!r} {why}")
                break
    return found


def name_flaws(path: str) -> list[str]:
    parts = PurePosixPath(path).with_suffix("").parts
    return [f"{path}: {part!r} says nothing: name it by its noun" for part in parts if part in EMPTY_NAMES]


def test_no_refused_word_is_used() -> None:
    searched = [path for path in text_files() if path != Path(__file__).resolve()]
    flaws = [word_flaws(relative(path), path.read_text(encoding="utf-8")) for path in searched]
    assert list(chain.from_iterable(flaws)) == []


def test_no_module_or_folder_has_an_empty_name() -> None:
    assert [flaw for path in text_files() for flaw in name_flaws(relative(path))] == []


@pytest.mark.parametrize(
    "line",
    [
        "Libelli is blazing fast.",
        "Robust replication",
        "a seamless upgrade",
        "# TODO: later",
        "# TODO(ann)",
        "# FIXME",
        "cd /home/ann/libelli",
        "cd /work/libelli",
        "PATH=/root/bin",
    ],
)
def test_a_refused_word_is_found(line: str) -> None:
    assert len(word_flaws("README.md", line)) == 1


@pytest.mark.parametrize(
    "line",
    ["# TODO(ann): drop once 0.2 is out", "data in /var/lib/libelli", "docs/home/page.md", "the root/work folders"],
)
def test_an_honest_line_passes(line: str) -> None:
    assert word_flaws("README.md", line) == []


@pytest.mark.parametrize("path", ["src/libelli/core/utils.py", "tests/helpers/disk.py", "src/libelli/base.py"])
def test_an_empty_name_is_found(path: str) -> None:
    assert len(name_flaws(path)) == 1


def test_a_noun_passes_as_a_name() -> None:
    assert name_flaws("src/libelli/stores/mvcc/revisions.py") == []
