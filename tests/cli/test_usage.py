"""What a wrong command line is answered with: one line, exit code 2, and no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from libelli.cli import choices
from libelli.cli.application import application
from libelli.cli.exits import ExitCode
from tests.cli.commands import Shell
from tests.cli.commands_page import leaves


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cluster's file is found from here."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["get"], "Missing argument 'KEY'"),
        (["nope"], "No such command 'nope'"),
        (["put", "a"], "give the value once"),
        (["put", "a", "1", "--file", "b"], "give the value once"),
        (["put", "a", "1", "--lease", "-1"], "--lease"),
        (["get", "zz", "--hex"], "not hexadecimal"),
        (["range", "a", "--to", "b", "--from-key"], "give one of them"),
        (["range", "--limit", "x"], "--limit"),
        (["range", "--sort", "nothing"], "--sort"),
        (["del", "", "--prefix"], "--yes"),
        (["load", "nowhere"], "neither a file nor a folder"),
        (["member", "add", "n4"], "no cluster's file is found"),
        (["transfer", ""], "the name is empty"),
        (["serve", "--begin", "perhaps"], "--begin"),
        (["up", "--replicas", "0"], "--replicas"),
    ],
)
def test_a_wrong_command_line_is_refused_in_one_line(shell: Shell, arguments: list[str], words: str) -> None:
    ran = shell(*arguments)
    assert (ran.code, ran.out) == (ExitCode.USAGE, "")
    assert words in ran.err
    assert ran.err.count("\n") == 1


def test_a_family_without_a_command_shows_its_help(shell: Shell) -> None:
    ran = shell("member")
    assert ran.code == ExitCode.USAGE
    assert ran.out.count("Give a member") == 1


@pytest.mark.parametrize("arguments", [["get", "a"], ["status"], ["snapshot", "save", "f"], ["watch"]])
def test_without_a_cluster_a_command_says_where_it_looked(shell: Shell, tmp_path: Path, arguments: list[str]) -> None:
    ran = shell(*arguments)
    assert ran.code == ExitCode.CONFIGURATION
    assert str(tmp_path) in ran.err
    assert "libelli up" in ran.err


def test_an_endpoint_needs_a_certificate_or_the_word_plain(shell: Shell) -> None:
    ran = shell("get", "a", "--endpoint", "127.0.0.1:1")
    assert ran.code == ExitCode.CONFIGURATION
    assert "--plain" in ran.err


def test_a_bundle_that_others_may_read_is_refused(shell: Shell, tmp_path: Path) -> None:
    bundle = tmp_path / "alice.pem"
    bundle.write_text("a key")
    bundle.chmod(0o640)
    ran = shell("get", "a", "--endpoint", "127.0.0.1:1", "--certificates", str(bundle))
    assert ran.code == ExitCode.CONFIGURATION
    assert "chmod 600" in ran.err
    missing = shell("get", "a", "--endpoint", "127.0.0.1:1", "--certificates", str(tmp_path / "none.pem"))
    assert missing.code == ExitCode.CONFIGURATION


def test_a_node_that_is_not_there_means_that_nothing_happened(shell: Shell) -> None:
    ran = shell("put", "a", "1", "--endpoint", "127.0.0.1:1", "--plain", "--timeout-ms", "200", "--json")
    assert ran.code == ExitCode.DID_NOT_HAPPEN
    assert '"outcome": "did not happen"' in ran.err


def test_a_traceback_comes_only_when_it_is_asked_for(shell: Shell) -> None:
    assert "Traceback" not in shell("get", "a").err
    assert "Traceback" in shell("get", "a", "--traceback").err


def test_variables_stand_in_for_options(shell: Shell) -> None:
    ran = shell("get", "a", environment={"LIBELLI_CLUSTER": "elsewhere.toml"})
    assert ran.code == ExitCode.CONFIGURATION
    assert "elsewhere.toml" in ran.err


def test_version_says_which_formats_are_spoken(shell: Shell) -> None:
    document = shell("version", "--json").document
    assert {"version", "wire", "oldest_wire", "log", "checkpoint"} <= document.keys()


def test_the_command_line_loads_no_cryptography_and_no_event_loop() -> None:
    """Which is what would make `libelli --help` slow."""
    code = "import libelli.cli, sys; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60)
    loaded = set(done.stdout.split())
    assert loaded.isdisjoint({"asyncio", "cryptography", "grpc", "lmdb", "rich.table", "ssl", "uvloop"})


def test_options_offer_the_words_of_the_certificates() -> None:
    from libelli.live.certificates import KeyKind, Kind, Reason
    from libelli.live.folder import Beginning

    pairs = [
        (choices.CertificateKind, Kind),
        (choices.KeyAlgorithm, KeyKind),
        (choices.RevocationReason, Reason),
        (choices.Beginning, Beginning),
    ]
    for ours, theirs in pairs:
        assert {each.name: each.value for each in ours} == {each.name: each.value for each in theirs}


def test_serve_takes_every_option_of_the_configuration() -> None:
    from libelli.live.configuration import OPTIONS

    command = dict(leaves(typer.main.get_command(application)))[("serve",)]
    offered = {option for parameter in command.params for option in parameter.opts}
    wanted = {f"--{option.replace('_', '-')}" for option in OPTIONS} - {"--members"}
    assert wanted - offered == set()
