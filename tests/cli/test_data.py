"""`put`, `get`, `del`, `range`, `watch`, `txn`, `compact` and `lease` over a store in memory."""

import json
from pathlib import Path

import pytest

from libelli.cli.exits import ExitCode
from libelli.core.errors import Code, call_error
from libelli.core.limits import KEY_SIZE_MAX, VALUE_SIZE_MAX
from tests.cli.commands import Shell
from tests.cli.fakes import FakeClient


def fill(libelli: Shell, *keys: str) -> None:
    for key in keys:
        assert libelli("put", key, f"value of {key}").code == ExitCode.OK


def test_what_was_put_is_got(libelli: Shell) -> None:
    assert libelli("put", "a", "1").out == "revision 2\n"
    assert libelli("get", "a").out == "1\n"
    document = libelli("get", "a", "--json").document
    expected = {"key": "a", "value": "1", "create_revision": 2, "mod_revision": 2, "version": 1, "lease": 0}
    assert document == {"collection": "default", "revision": 2} | expected


def test_put_can_show_what_was_there(libelli: Shell) -> None:
    assert libelli("put", "a", "1", "--previous").out == "revision 2\nprevious: none\n"
    assert libelli("put", "a", "2", "--previous", "--json").document["previous"]["value"] == "1"


def test_a_value_comes_from_a_file_and_goes_to_one(libelli: Shell, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(bytes(range(256)))
    assert libelli("put", "a", "--file", str(source)).code == ExitCode.OK
    assert libelli("get", "a", "--output", str(target)).out == ""
    assert target.read_bytes() == source.read_bytes()
    assert libelli("get", "a", "--json").document["value"].keys() == {"base64"}


def test_a_key_of_any_bytes_is_written_in_hexadecimal(libelli: Shell) -> None:
    assert libelli("put", "00ff", "x", "--hex").code == ExitCode.OK
    assert libelli("get", "00ff", "--hex").out == "x\n"
    assert libelli("range", "--keys").out == "\\x00\\xff\n"


def test_a_missing_key_is_refused_by_name(libelli: Shell) -> None:
    ran = libelli("get", "nobody")
    assert (ran.code, ran.out) == (ExitCode.REFUSED, "")
    assert "key 'nobody' is not in collection 'default'" in ran.err


def test_a_key_is_read_as_it_was(libelli: Shell) -> None:
    libelli("put", "a", "1")
    libelli("put", "a", "2")
    assert libelli("get", "a", "--revision", "2").out == "1\n"


def test_a_range_is_a_prefix_unless_it_is_exact(libelli: Shell) -> None:
    fill(libelli, "a", "a/1", "a/2", "b")
    assert libelli("range", "a", "--keys").out.split() == ["a", "a/1", "a/2"]
    assert libelli("range", "a", "--exact", "--keys").out.split() == ["a"]
    assert libelli("range", "a/1", "--to", "b", "--keys").out.split() == ["a/1", "a/2"]
    assert libelli("range", "a/2", "--from-key", "--keys").out.split() == ["a/2", "b"]
    assert libelli("range", "a/", "--count").out == "2\n"
    assert libelli("range", "--count", "--json").document["count"] == 4
    assert libelli("range", "a", "--limit", "2", "--json").document["more"] is True
    assert libelli("range", "--sort", "mod", "--descending", "--keys").out.split() == ["b", "a/2", "a/1", "a"]


def test_a_range_of_many_pages_is_whole(libelli: Shell, client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libelli.cli.ranges.PAGE_KEYS", 2)
    fill(libelli, "a", "b", "c", "d", "e")
    document = libelli("range", "--json").document
    assert [item["key"] for item in document["items"]] == ["a", "b", "c", "d", "e"]
    assert (document["count"], document["shown"], document["more"]) == (5, 5, False)
    assert libelli("range", "--limit", "3", "--keys").out.split() == ["a", "b", "c"]


def test_deleting_counts_and_asks_before_everything_goes(libelli: Shell) -> None:
    fill(libelli, "a", "a/1", "a/2", "b")
    assert libelli("del", "a").out.startswith("deleted 1 key,")
    assert libelli("del", "a/", "--prefix", "--json").document["deleted"] == 2
    assert libelli("del", "", "--prefix").code == ExitCode.USAGE
    assert libelli("del", "", "--prefix", "--yes").out.startswith("deleted 1 key,")


def test_a_watch_tells_each_change_in_a_line(libelli: Shell) -> None:
    libelli("put", "a", "1")
    libelli("put", "b", "1")
    libelli("put", "a", "2")
    libelli("del", "a")
    ran = libelli("watch", "a", "--revision", "1", "--count", "3")
    assert ran.out == "put\ta\t1\nput\ta\t2\ndelete\ta\n"
    lines = libelli("watch", "a", "--revision", "1", "--json").out.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["put", "put", "delete"]


def test_a_transaction_runs_the_branch_that_its_conditions_choose(libelli: Shell, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("if missing lock\nthen put lock ann\nelse get lock\n")
    first = libelli("txn", str(script))
    assert first.out.splitlines() == ["conditions held: then, revision 2", "  put"]
    second = libelli("txn", str(script), "--expect-success")
    assert second.code == ExitCode.REFUSED
    assert second.out.splitlines()[1] == "  lock\tann"
    assert libelli("txn", str(script), "--json").document["succeeded"] is False


def test_a_transaction_that_cannot_be_read_names_its_line(libelli: Shell, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("then put a 1\nperhaps put b\n")
    ran = libelli("txn", str(script))
    assert ran.code == ExitCode.USAGE
    assert "line 2" in ran.err


def test_compacted_history_cannot_be_read(libelli: Shell) -> None:
    libelli("put", "a", "1")
    libelli("put", "a", "2")
    assert libelli("compact", "3").code == ExitCode.OK
    ran = libelli("get", "a", "--revision", "2", "--json")
    assert ran.code == ExitCode.REFUSED
    assert json.loads(ran.err)["code"] == "COMPACTED"


def test_a_lease_takes_its_keys_along(libelli: Shell) -> None:
    lease = libelli("lease", "grant", "60").out.strip()
    assert libelli("put", "a", "1", "--lease", lease).code == ExitCode.OK
    assert libelli("lease", "list", "--keys").out.startswith(f"{lease}\t60 s")
    assert libelli("lease", "keep-alive", lease, "--once").out == f"lease {lease} lasts 60 s from now\n"
    assert libelli("lease", "revoke", lease).code == ExitCode.OK
    assert libelli("get", "a").code == ExitCode.REFUSED
    assert libelli("lease", "keep-alive", lease, "--once").code == ExitCode.REFUSED


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["put", "", "x"], "empty"),
        (["put", "a", "1", "-c", "nowhere"], "no collection 'nowhere'"),
        (["put", "a", "1", "--lease", "7"], "lease"),
        (["get", "a", "--revision", "99"], "revision"),
        (["put", "k" * (KEY_SIZE_MAX + 1), "x"], "1,048,576"),
    ],
)
def test_what_the_store_refuses_is_said_in_one_line(libelli: Shell, arguments: list[str], words: str) -> None:
    ran = libelli(*arguments)
    assert (ran.code, ran.out) == (ExitCode.REFUSED, "")
    assert words in ran.err
    assert ran.err.count("\n") == 1


def test_a_value_over_the_limit_is_refused_before_it_is_sent(libelli: Shell, tmp_path: Path) -> None:
    large, fits = tmp_path / "large", tmp_path / "fits"
    large.write_bytes(b"x" * (VALUE_SIZE_MAX + 1))
    fits.write_bytes(b"x" * VALUE_SIZE_MAX)
    ran = libelli("put", "a", "--file", str(large))
    assert ran.code == ExitCode.REFUSED
    assert "1,048,576" in ran.err
    assert libelli("put", "a", "--file", str(fits)).code == ExitCode.OK


@pytest.mark.parametrize(
    ("code", "exit_code", "outcome"),
    [
        (Code.TIMED_OUT, ExitCode.MAY_HAVE_HAPPENED, "may have happened"),
        (Code.LEADER_CHANGED, ExitCode.MAY_HAVE_HAPPENED, "may have happened"),
        (Code.NO_LEADER, ExitCode.DID_NOT_HAPPEN, "did not happen"),
        (Code.NO_SPACE, ExitCode.DID_NOT_HAPPEN, "did not happen"),
        (Code.OVERLOADED, ExitCode.DID_NOT_HAPPEN, "did not happen"),
        (Code.DENIED, ExitCode.REFUSED, "did not happen"),
    ],
)
def test_the_exit_code_says_whether_it_may_have_happened(
    libelli: Shell, client: FakeClient, code: Code, exit_code: ExitCode, outcome: str
) -> None:
    client.failure = call_error(code, "the reason")
    ran = libelli("put", "a", "1", "--json")
    assert ran.code == exit_code
    assert json.loads(ran.err) == {"error": "the reason", "outcome": outcome, "exit": exit_code, "code": code.name}


def test_a_defect_asks_for_a_report(libelli: Shell, client: FakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of our own")

    monkeypatch.setattr(client, "put", broken)
    ran = libelli("put", "a", "1")
    assert ran.code == ExitCode.DEFECT
    assert "internal error: ZeroDivisionError: of our own" in ran.err
