"""Configuration: three sources, one set of names, and everything that cannot be refused before a node starts."""

from pathlib import Path
from typing import Any

import pytest

from libelli.core.errors import ConfigurationError
from libelli.core.ids import NodeId
from libelli.live.configuration import OPTIONS, ServeConfiguration, load_configuration
from libelli.live.folder import Beginning
from libelli.live.logs import LogLevel
from libelli.protocols.raft import WAN, ReadMode
from tests.tidy.sources import ROOT

EXAMPLE = ROOT / "packaging" / "libelli.toml"
ID = "0123456789abcdef0123456789abcdef"
HEAD = f'name = "n1"\ncluster_id = "{ID}"\ndata = "data"\ncertificates = "n1.pem"\n'
MEMBER = '[[members]]\nnode = 1\nname = "n1"\npeer = "127.0.0.1:1"\nclient = "127.0.0.1:2"\n'


def load(
    tmp_path: Path, text: str = HEAD + MEMBER, *, environment: dict[str, str] | None = None, **flags: Any
) -> ServeConfiguration:
    file = tmp_path / "libelli.toml"
    file.write_text(text, encoding="utf-8")
    return load_configuration(file, environment=environment or {}, flags=flags)


def test_the_example_can_be_loaded_and_shows_every_option_with_its_default() -> None:
    example = load_configuration(EXAMPLE, environment={}, flags={})
    text = EXAMPLE.read_text(encoding="utf-8")
    shown = [name for name in OPTIONS if f"\n{name} = " in text or f"\n# {name} = " in text or f"[[{name}]]" in text]
    assert set(OPTIONS) - set(shown) == {"begin"}
    defaults = dict(zip(OPTIONS[::-1], ServeConfiguration.__struct_defaults__[-2::-1], strict=False))
    differing = {name for name, default in defaults.items() if getattr(example, name) != default}
    assert differing == {"certificates"}
    assert [member.name for member in example.members] == ["n1", "n2", "n3"]


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    configuration = load(tmp_path)
    assert (configuration.data, configuration.certificates) == (tmp_path / "data", tmp_path / "n1.pem")


def test_the_command_line_is_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    text = 'timing = "lan"\nquota_bytes = 100_000_000\nretain_ms = 1\n' + HEAD + MEMBER
    environment = {"LIBELLI_TIMING": "wan", "LIBELLI_QUOTA_BYTES": "200000000", "PATH": "x"}
    configuration = load(tmp_path, text, environment=environment, quota_bytes=300_000_000, retain_ms=None)
    assert configuration.options.timing == WAN
    assert (configuration.quota_bytes, configuration.retain_ms) == (300_000_000, 1)


def test_values_of_the_environment_are_read_as_what_the_option_is(tmp_path: Path) -> None:
    text = f'name = "n1"\ncluster_id = "{ID}"\ndata = "d"\n' + MEMBER
    environment = {"LIBELLI_PLAIN": "true", "LIBELLI_LOG_LEVEL": "debug", "LIBELLI_READ_MODE": "lease"}
    configuration = load(tmp_path, text, environment=environment)
    assert (configuration.plain, configuration.log_level) == (True, LogLevel.DEBUG)
    assert configuration.options.raft.read_mode is ReadMode.LEASE


def test_who_the_node_is_and_where_it_listens_follows_from_its_member(tmp_path: Path) -> None:
    configuration = load(tmp_path, HEAD + MEMBER + 'region = "here"\n', listen_client="0.0.0.0:9")
    assert (configuration.identity.node, configuration.identity.region) == (NodeId(1), "here")
    assert (str(configuration.peer_address), str(configuration.client_address)) == ("127.0.0.1:1", "0.0.0.0:9")
    assert str(configuration.metrics_address) == "127.0.0.1:7402"
    assert load(tmp_path, listen_metrics="").metrics_address is None


def test_an_unknown_variable_is_noted_and_not_refused(tmp_path: Path) -> None:
    environment = {"LIBELLI_QUOTA_BYTE": "1", "LIBELLI_PORT": "tcp://1", "LIBELLI_ENDPOINT": "x"}
    notes = load(tmp_path, environment=environment).unknown_variables
    assert notes == ("LIBELLI_PORT", "LIBELLI_QUOTA_BYTE; did you mean 'quota_bytes'?")


def test_a_beginning_cannot_stand_in_a_file(tmp_path: Path) -> None:
    assert load(tmp_path, begin="found").begin is Beginning.FOUND
    with pytest.raises(ConfigurationError, match="say it once on the command line"):
        load(tmp_path, 'begin = "found"\n' + HEAD + MEMBER)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quota = 1\n" + HEAD + MEMBER, "no option 'quota'; did you mean 'quota_bytes'"),
        (HEAD + MEMBER + "peeer = 1\n", "member 1: there is no option 'peeer'; did you mean 'peer'"),
        (HEAD, "'members' is missing"),
        (MEMBER, "'name' is missing"),
        (HEAD.replace(ID, "abc") + MEMBER, "cluster_id 'abc' is not 32 hexadecimal digits"),
        (HEAD.replace('"n1"', '"n7"', 1) + MEMBER, "'n7' is none of the members"),
        (HEAD + MEMBER + MEMBER, "two members have node 1"),
        (HEAD + MEMBER.replace("node = 1", "node = 0"), "numbers begin with 1"),
        (HEAD + MEMBER.replace("127.0.0.1:1", "127.0.0.1"), "is not HOST:PORT"),
        ('timing = "lann"\n' + HEAD + MEMBER, "none of lan, regions, wan; did you mean 'lan'"),
        ("quota_bytes = 5\n" + HEAD + MEMBER, "quota_bytes is 5; it can be at least 16,777,216"),
        ('quota_bytes = "much"\n' + HEAD + MEMBER, "quota_bytes"),
        ("segment_bytes = 9_000_000_000\n" + HEAD + MEMBER, "1,048,576 to 1,073,741,824"),
        ('log_level = "loud"\n' + HEAD + MEMBER, "log_level"),
        ("plain = true\n" + HEAD + MEMBER, "plain and certificates are both given"),
        (HEAD.replace("certificates", "#") + MEMBER, "no certificates: name the node's bundle"),
        ("name = ", "is not TOML"),
    ],
)
def test_what_cannot_be_is_refused_with_a_way_out(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load(tmp_path, text)


def test_an_unknown_flag_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the command line: there is no option 'tming'; did you mean 'timing'"):
        load(tmp_path, tming="lan")
    with pytest.raises(ConfigurationError, match="check the path given with --config"):
        load_configuration(tmp_path / "none.toml", environment={}, flags={})


@pytest.mark.parametrize("where", ["listen_peer", "listen_client"])
def test_plain_text_is_refused_where_others_could_read_it(tmp_path: Path, where: str) -> None:
    text = HEAD.replace('certificates = "n1.pem"', "plain = true") + MEMBER
    assert load(tmp_path, text).plain
    with pytest.raises(ConfigurationError, match=r"plain text on 10\.0\.0\.1:7, .*use certificates"):
        load_configuration(tmp_path / "libelli.toml", environment={}, flags={where: "10.0.0.1:7"})
    with pytest.raises(ConfigurationError, match=r"plain text on 10\.0\.0\.2:7"):
        load(tmp_path, text.replace("127.0.0.1:1", "10.0.0.2:7"), listen_peer="127.0.0.1:1")
