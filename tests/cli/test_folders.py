"""Which files become which keys."""

from pathlib import Path

import pytest

from libelli.cli.folders import PlannedFile, plan
from libelli.cli.usage import UsageError
from libelli.core.limits import VALUE_SIZE_MAX


def keys(planned: list[PlannedFile]) -> list[bytes]:
    return [file.key for file in planned]


def test_a_folder_gives_its_files_by_their_path_below_it(tmp_path: Path) -> None:
    (tmp_path / "b" / "c").mkdir(parents=True)
    (tmp_path / "z.md").write_text("z")
    (tmp_path / "b" / "c" / "deep.md").write_text("deep")
    (tmp_path / "b" / ".hidden").write_text("hidden")

    planned = plan([tmp_path], prefix=b"posts/")

    assert keys(planned) == [b"posts/b/.hidden", b"posts/b/c/deep.md", b"posts/z.md"]
    assert [file.size_bytes for file in planned] == [6, 4, 1]


def test_a_single_file_gives_its_name(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("a")
    assert keys(plan([file], prefix=b"")) == [b"a.md"]


def test_a_name_that_is_not_utf8_keeps_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "caf\udce9").write_text("latin")
    assert keys(plan([tmp_path], prefix=b"")) == [b"caf\xe9"]


def test_a_file_over_the_limit_is_planned_with_its_flaw(tmp_path: Path) -> None:
    (tmp_path / "fits").write_bytes(b"x" * VALUE_SIZE_MAX)
    (tmp_path / "large").write_bytes(b"x" * (VALUE_SIZE_MAX + 1))

    fits, large = plan([tmp_path], prefix=b"")

    assert fits.flaw == ""
    assert large.flaw == "has 1,048,577 bytes; the limit of a value is 1,048,576"


def test_links_to_files_are_read_and_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "gone").symlink_to("nowhere")

    planned = plan([tmp_path], prefix=b"")

    assert keys(planned) == [b"file", b"gone", b"link"]
    assert [bool(file.flaw) for file in planned] == [False, True, False]


def test_two_files_for_one_key_are_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same").write_text(folder)
    with pytest.raises(UsageError, match="would both go to the key p/same"):
        plan([tmp_path / "a", tmp_path / "b"], prefix=b"p/")


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="neither a file nor a folder"):
        plan([tmp_path / "nowhere"], prefix=b"")
