"""The table of limits in DESIGN.md is the one that the code checks against."""

import re
from pathlib import Path

from libelli.core import limits

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `([A-Z_]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
UNITS = ("KIB", "MIB")


def shown(name: str, value: int) -> str:
    """`2 MiB` for sizes, `10,000` for counts and times."""
    if "_MS" in name or "_TTL_S" in name or ("BYTES" not in name and "SIZE" not in name):
        return f"{value:,}"
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:,} bytes"


def in_code() -> dict[str, str]:
    names = [name for name in vars(limits) if name.isupper() and name not in UNITS]
    return {name: shown(name, getattr(limits, name)) for name in names}


def in_design() -> dict[str, str]:
    text = (ROOT / "DESIGN.md").read_text(encoding="utf-8")
    table = text.split("<!-- limits -->")[1].split("<!-- /limits -->")[0]
    return {name: value.strip() for name, value, _ in ROW.findall(table)}


def test_the_printed_table_is_the_one_that_is_checked() -> None:
    assert in_design() == in_code()


def test_every_limit_says_what_it_is_for() -> None:
    text = (ROOT / "DESIGN.md").read_text(encoding="utf-8")
    assert all(meaning.strip() for _, _, meaning in ROW.findall(text))
