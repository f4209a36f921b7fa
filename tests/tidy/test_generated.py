"""Generated code is what the .proto files say now."""

import subprocess
from pathlib import Path

from tests.tidy.sources import GENERATED_SUFFIXES, ROOT


def generated_below(folder: Path) -> dict[str, str]:
    """From the path inside `folder` to the text of each generated file."""
    found = (path for path in folder.rglob("*_pb2*") if path.name.endswith(GENERATED_SUFFIXES))
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in found}


def test_generated_modules_are_what_make_proto_writes(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts" / "proto.sh", tmp_path], check=True, timeout=120)
    assert generated_below(ROOT / "src") == generated_below(tmp_path)
