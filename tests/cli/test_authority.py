"""`libelli ca`: an authority from the command line."""

import stat
from pathlib import Path

import pytest

from libelli.cli.exits import ExitCode
from libelli.live.founding import Wish, ensure_cluster
from tests.cli.commands import Shell


@pytest.fixture
def home(shell: Shell, tmp_path: Path) -> Path:
    folder = tmp_path / "ca"
    assert shell("ca", "init", str(folder), "--organization", "Example").code == ExitCode.OK
    return folder


def test_a_bundle_is_issued_for_its_owner_only(shell: Shell, home: Path) -> None:
    ran = shell("ca", "issue", "n1", "--kind", "peer", "--address", "127.0.0.1", "--ca", str(home), "--json")
    path = Path(ran.document["path"])
    assert (ran.code, ran.document["kind"], ran.document["name"]) == (ExitCode.OK, "peer", "n1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_name_is_issued_once_then_renewed(shell: Shell, home: Path) -> None:
    first = shell("ca", "issue", "alice", "--ca", str(home), "--json").document
    again = shell("ca", "issue", "alice", "--ca", str(home))
    assert again.code == ExitCode.CONFIGURATION
    assert "libelli ca renew alice" in again.err

    renewed = shell("ca", "renew", "alice", "--ca", str(home), "--json").document
    assert renewed["path"] == first["path"]
    assert renewed["serial"] != first["serial"]


def test_a_revoked_certificate_is_listed_and_shown_as_such(shell: Shell, home: Path) -> None:
    shell("ca", "issue", "alice", "--ca", str(home))
    revoked = shell("ca", "revoke", "alice", "--reason", "key-compromise", "--ca", str(home), "--json").document
    assert len(revoked["revoked"]) == 1

    (listed,) = shell("ca", "list", "--ca", str(home), "--json").document["certificates"]
    assert listed["revoked"] is not None
    shown = shell("ca", "show", str(home / "bundles" / "alice.pem"))
    assert "is revoked" in shown.out


def test_the_authority_is_that_of_the_cluster_that_was_named(shell: Shell, tmp_path: Path) -> None:
    files = []
    for name in ("one", "other"):
        files.append(found_cluster(tmp_path / name))
        assert shell("ca", "issue", f"of-{name}", "--ca", str(tmp_path / name / "certificates")).code == ExitCode.OK
    for name, file in zip(("one", "other"), files, strict=True):
        listed = shell("ca", "list", "--cluster", str(file), "--json").document["certificates"]
        assert f"of-{name}" in {each["name"] for each in listed}
        shown = shell("--cluster", str(file), "ca", "list", "--json").document["certificates"]
        assert shown == listed


def found_cluster(folder: Path) -> Path:
    file, _, _ = ensure_cluster(folder, Wish(replicas=1, port=17_500))
    assert (folder / ".gitignore").read_text().endswith("*\n")  # keys lie here
    return file


def test_a_bundle_is_exported_as_pkcs12(shell: Shell, home: Path, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import pkcs12

    shell("ca", "issue", "alice", "--ca", str(home))
    password, exported = tmp_path / "password", tmp_path / "alice.p12"
    password.write_text("tell nobody\n")
    bundle = home / "bundles" / "alice.pem"

    ran = shell("ca", "export", str(bundle), str(exported), "--password-file", str(password))

    assert ran.code == ExitCode.OK
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600
    loaded = pkcs12.load_pkcs12(exported.read_bytes(), b"tell nobody")
    assert loaded.cert is not None
    assert "alice" in loaded.cert.certificate.subject.rfc4514_string()


def test_an_export_replaces_no_file(shell: Shell, home: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    ran = shell("ca", "export", str(home / "authority.pem"), str(there), "--password-file", str(there))
    assert ran.code == ExitCode.USAGE
    assert there.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["issue", "a b"], "characters that a name cannot have"),
        (["issue", "alice", "--address", "127.0.0.1"], "nobody dials a client"),
        (["issue", "n1", "--kind", "peer", "--address", "http://x"], "neither an IP address nor a host name"),
        (["issue", "n1", "--days", "99999"], "outside"),
        (["renew", "nobody"], "never issued"),
        (["revoke", "nobody"], "no certificate has the name"),
    ],
)
def test_what_cannot_be_certified_is_refused(shell: Shell, home: Path, arguments: list[str], words: str) -> None:
    ran = shell("ca", *arguments, "--ca", str(home))
    assert ran.code == ExitCode.CONFIGURATION
    assert words in ran.err


def test_without_an_authority_the_way_to_make_one_is_named(shell: Shell, tmp_path: Path) -> None:
    ran = shell("ca", "issue", "alice", "--ca", str(tmp_path / "none"))
    assert ran.code == ExitCode.CONFIGURATION
    assert "libelli ca init" in ran.err


def test_a_second_authority_in_a_folder_is_refused(shell: Shell, home: Path) -> None:
    ran = shell("ca", "init", str(home))
    assert ran.code == ExitCode.CONFIGURATION
    assert "already holds an authority" in ran.err
