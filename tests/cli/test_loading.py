"""`load` over a store in memory."""

from pathlib import Path

import pytest

from libelli.cli import loading
from libelli.cli.exits import ExitCode
from libelli.core.errors import Code, call_error
from libelli.core.limits import VALUE_SIZE_MAX
from libelli.stores.mvcc.commands import Put
from tests.cli.commands import Shell
from tests.cli.fakes import FakeClient


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = tmp_path / "files"
    (files / "deep").mkdir(parents=True)
    for name, text in {"a.md": "one", "b.md": "two", "deep/c.md": "three", "empty": ""}.items():
        (files / name).write_text(text)
    return files


def test_files_become_keys_below_the_prefix(libelli: Shell, folder: Path) -> None:
    ran = libelli("load", str(folder), "--prefix", "posts/")
    assert ran.out == "loaded 4 files (11 bytes), 0 were there already\n"
    assert libelli("range", "posts/", "--count").out == "4\n"
    assert libelli("get", "posts/deep/c.md").out == "three\n"


def test_loading_again_loads_only_what_is_new_or_has_changed(libelli: Shell, client: FakeClient, folder: Path) -> None:
    libelli("load", str(folder))
    revision = client.store.revision
    assert libelli("load", str(folder), "--json").document["skipped"] == 4
    assert client.store.revision == revision

    (folder / "a.md").write_text("changed")
    (folder / "new").write_text("new")
    document = libelli("load", str(folder), "--json").document
    assert (document["loaded"], document["skipped"]) == (2, 3)
    assert libelli("get", "a.md").out == "changed\n"


def test_a_load_that_broke_off_goes_on_where_it_was(
    libelli: Shell, client: FakeClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "BATCH_FILES", 1)
    puts = 0
    submit = client.submit

    def broken(command: object, *, collection: str = "") -> object:
        nonlocal puts
        puts += isinstance(command, Put)
        if isinstance(command, Put) and puts == 3:
            raise call_error(Code.CONNECTION_LOST, "cut off")
        return submit(command, collection=collection)  # type: ignore[arg-type]

    monkeypatch.setattr(client, "submit", broken)
    assert libelli("load", str(folder)).code == ExitCode.MAY_HAVE_HAPPENED
    document = libelli("load", str(folder), "--json").document
    assert (document["loaded"], document["skipped"]) == (2, 2)


@pytest.mark.parametrize("output", [(), ("--json",)])
def test_a_load_that_is_interrupted_says_how_far_it_came(
    libelli: Shell, client: FakeClient, folder: Path, monkeypatch: pytest.MonkeyPatch, output: tuple[str, ...]
) -> None:
    monkeypatch.setattr(loading, "BATCH_FILES", 1)
    submit = client.submit

    def interrupted(command: object, *, collection: str = "") -> object:
        if isinstance(command, Put) and command.key == b"deep/c.md":
            raise KeyboardInterrupt
        return submit(command, collection=collection)  # type: ignore[arg-type]

    monkeypatch.setattr(client, "submit", interrupted)
    ran = libelli("load", str(folder), *output)
    assert ran.code == ExitCode.INTERRUPTED
    assert ran.out == ""
    assert ran.err.count("\n") == 1
    assert "interrupted: 2 files loaded, 0 were there already; the same command goes on" in ran.err


def test_files_over_the_limit_are_listed_and_the_others_loaded(libelli: Shell, folder: Path) -> None:
    (folder / "large").write_bytes(b"x" * (VALUE_SIZE_MAX + 1))
    (folder / "fits").write_bytes(b"x" * VALUE_SIZE_MAX)
    ran = libelli("load", str(folder))
    assert ran.code == ExitCode.REFUSED
    assert "loaded 5 files" in ran.out
    assert f"not loaded: {folder / 'large'} has 1,048,577 bytes; the limit of a value is 1,048,576" in ran.out

    refused = libelli("load", str(folder), "--json").document["refused"]
    assert [each["key"] for each in refused] == ["large"]


def test_a_file_that_grew_after_it_was_planned_is_refused(
    libelli: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = loading.plan

    def growing(paths: list[Path], *, prefix: bytes) -> object:
        planned = plan(paths, prefix=prefix)
        (folder / "a.md").write_bytes(b"x" * (VALUE_SIZE_MAX + 1))
        (folder / "b.md").unlink()
        return planned

    monkeypatch.setattr(loading, "plan", growing)
    document = libelli("load", str(folder), "--json").document
    assert document["loaded"] == 2
    assert [each["key"] for each in document["refused"]] == ["a.md", "b.md"]


def test_a_dry_run_changes_nothing(libelli: Shell, client: FakeClient, folder: Path) -> None:
    assert libelli("load", str(folder), "--dry-run").out.startswith("would look at 4 files (11 bytes)")
    assert client.store.revision == 1


def test_what_is_in_memory_at_once_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "BATCH_BYTES", 6)
    sizes = [
        [file.path.stat().st_size for file in batch] for batch in loading._batches(loading.plan([folder], prefix=b""))
    ]
    assert sizes == [[3, 3], [5, 0]]
