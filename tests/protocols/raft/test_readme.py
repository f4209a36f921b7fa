"""The table in the protocol's README names functions and tests that are there."""

import re

from tests.tidy.sources import ROOT, python_modules, source_modules

README = ROOT / "src" / "libelli" / "protocols" / "raft" / "README.md"


def rows() -> list[list[str]]:
    text = README.read_text(encoding="utf-8").split("## Section")[1].split("## Departures")[0]
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    return cells[2:]


def test_every_rule_names_functions_that_are_there() -> None:
    raft = {module.path.split("/")[-1][:-3]: module.text for module in source_modules() if "/raft/" in module.path}
    wrong = []
    for _, rule, functions, _ in rows():
        for module, function in re.findall(r"`(\w+)\.(\w+)`", functions):
            if not re.search(rf"^ *def {function}\(", raft.get(module, ""), re.MULTILINE):
                wrong.append(f"{rule}: {module}.{function}")
    assert wrong == []


def test_every_rule_names_tests_that_are_there() -> None:
    tests = "\n".join(module.text for module in python_modules() if module.path.startswith("tests/"))
    named = [name for row in rows() for name in re.findall(r"`(test_\w+)`", row[3])]
    assert len(named) == len(rows())
    assert [name for name in named if f"def {name}(" not in tests] == []
