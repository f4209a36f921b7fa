"""What a node is told before it starts: a file, over it the environment, over it the command line.

::

    libelli.toml            quota_bytes = 8_000_000_000
    environment             LIBELLI_QUOTA_BYTES=8000000000
    command line            --quota-bytes 8000000000

All three use the same names. What is unknown or cannot be is refused before anything is touched, with the nearest
name that is known. `packaging/libelli.toml` shows every option with its default.
"""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from libelli.core.errors import ConfigurationError
from libelli.core.ids import ClusterId, NodeId
from libelli.core.limits import KIB, MEMBERS_MAX, MIB, QUOTA_BYTES_DEFAULT
from libelli.core.members import Member
from libelli.host.identity import Identity
from libelli.host.options import NodeOptions
from libelli.live.addresses import Address, parse_address
from libelli.live.folder import Beginning
from libelli.live.logs import LogFormat, LogLevel
from libelli.protocols.raft import TIMINGS, Options, ReadMode

ENVIRONMENT_PREFIX = "LIBELLI_"
NOT_OURS = frozenset({"LIBELLI_CLIENT_CERTIFICATES", "LIBELLI_CLUSTER", "LIBELLI_ENDPOINT"})
"""Variables of the client commands."""
CLUSTER_DIGITS = 32
SEGMENT_SIZE_MIN = MIB
SEGMENT_SIZE_LARGEST = 1024 * MIB
QUOTA_BYTES_MIN = 16 * MIB
STEP_BYTES = 256 * KIB
"""Entries applied in one turn: some 1,700 small puts, 5 to 10 ms. Smaller turns cost throughput; after larger ones
heartbeats are late, and a leader that is silent for long is taken for dead (`tests/live/measure_puts.py`)."""


class MemberConfiguration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member of the cluster, as a file describes it.

    Attributes:
        node: its number, 1 or more, never used for another.
        name: what its certificate calls it.
        region: where it stands.
        peer: `HOST:PORT` at which other nodes reach it.
        client: `HOST:PORT` at which native clients reach it.
        grpc: `HOST:PORT` of its gRPC door, or empty.
    """

    node: int
    name: str
    peer: str
    client: str
    region: str = ""
    grpc: str = ""

    @property
    def member(self) -> Member:
        """The same as replicas know it."""
        return Member(NodeId(self.node), self.name, self.region, self.peer, self.client, self.grpc)


class ServeConfiguration(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that `libelli serve` can be told.

    Attributes:
        name: of this node; one of the members' names.
        cluster_id: 32 hexadecimal digits, the same on all nodes, drawn once.
        data: the data folder.
        members: all members that found the cluster, or for a node that joins: at least itself.
        begin: what to make of an empty data folder; not to be left in a file.
        certificates: the bundle of this node; `crl.pem` beside it is read too.
        plain: no TLS; only on loopback addresses.
        listen_peer: empty: the member's own `peer`.
        listen_client: empty: the member's own `client`.
        listen_grpc: empty: the member's own `grpc`; where that is empty too there is no such door.
        listen_metrics: HTTP for /livez, /readyz and /metrics; empty: none.
        timing: `lan`, `regions` or `wan`; the same on all nodes.
        read_mode: `round` or `lease`.
        quota_bytes: keys, values and history.
        retain_revisions: history beyond it is compacted (0: never).
        retain_ms: history older than it is compacted (0: never).
        flush_bytes: changes kept in memory before they are written to the checkpoint.
        flush_age_ms: a smaller rest is written after this time.
        comparison_interval_ms: how often replicas are compared (0: never).
        segment_bytes: of a log file.
        memory_bytes: recent entries kept in memory.
        retain_entries: entries that stay in the log for slow followers.
        log_level: debug, info, warning or error.
        log_format: auto, text or json.
    """

    name: str
    cluster_id: str
    data: Path
    members: tuple[MemberConfiguration, ...]
    begin: Beginning = Beginning.REFUSED
    certificates: Path | None = None
    plain: bool = False
    listen_peer: str = ""
    listen_client: str = ""
    listen_grpc: str = ""
    listen_metrics: str = "127.0.0.1:7402"
    timing: str = "lan"
    read_mode: ReadMode = ReadMode.ROUND
    quota_bytes: int = QUOTA_BYTES_DEFAULT
    retain_revisions: int = 1_000_000
    retain_ms: int = 3_600_000
    flush_bytes: int = 32 * MIB
    flush_age_ms: int = 30_000
    comparison_interval_ms: int = 10_000
    segment_bytes: int = 64 * MIB
    memory_bytes: int = 64 * MIB
    retain_entries: int = 100_000
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.AUTO
    unknown_variables: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        _check_cluster_id(self.cluster_id)
        _check_members(self.members, self.name)
        _check_numbers(self)
        if self.timing not in TIMINGS:
            raise ConfigurationError(
                f"timing {self.timing!r} is none of {', '.join(TIMINGS)}{_nearest(self.timing, TIMINGS)}"
            )
        self._check_security()

    @property
    def own(self) -> MemberConfiguration:
        """This node among the members."""
        return next(member for member in self.members if member.name == self.name)

    @property
    def identity(self) -> Identity:
        """Who this node is."""
        return Identity(ClusterId(self.cluster_id), NodeId(self.own.node), self.name, self.own.region)

    @property
    def peer_address(self) -> Address:
        """Where it listens for other nodes."""
        return parse_address(self.listen_peer or self.own.peer, what="peer address")

    @property
    def client_address(self) -> Address:
        """Where it listens for native clients."""
        return parse_address(self.listen_client or self.own.client, what="client address")

    @property
    def grpc_address(self) -> Address | None:
        """Where it listens for gRPC."""
        text = self.listen_grpc or self.own.grpc
        return parse_address(text, what="gRPC address") if text else None

    @property
    def metrics_address(self) -> Address | None:
        """Where it listens for HTTP."""
        return parse_address(self.listen_metrics, what="metrics address") if self.listen_metrics else None

    @property
    def founders(self) -> tuple[Member, ...]:
        """All members, by their numbers."""
        return tuple(each.member for each in sorted(self.members, key=lambda each: each.node))

    @property
    def options(self) -> NodeOptions:
        """The same as a node wants it."""
        return NodeOptions(
            timing=TIMINGS[self.timing],
            raft=Options(read_mode=self.read_mode, memory_bytes=self.memory_bytes, retain_entries=self.retain_entries),
            flush_bytes=self.flush_bytes,
            flush_age_ms=self.flush_age_ms,
            quota_bytes=self.quota_bytes,
            retain_revisions=self.retain_revisions,
            retain_ms=self.retain_ms,
            comparison_interval_ms=self.comparison_interval_ms,
            step_bytes=STEP_BYTES,
        )

    def _check_security(self) -> None:
        listening = [self.peer_address, self.client_address]
        if (grpc := self.grpc_address) is not None:
            listening.append(grpc)
        _ = self.metrics_address
        if not self.plain:
            if self.certificates is None:
                raise ConfigurationError(
                    "no certificates: name the node's bundle (libelli ca issue makes one), or say plain = true on a"
                    " loopback address"
                )
            return
        if self.certificates is not None:
            raise ConfigurationError("plain and certificates are both given: leave one away")
        dialled = [parse_address(each.peer, what=f"peer address of {each.name}") for each in self.members]
        for address in (*listening, *dialled):
            if not address.is_loopback:
                raise ConfigurationError(
                    f"plain text on {address}, which others can read and change: use certificates (libelli ca issue),"
                    " or a loopback address such as 127.0.0.1"
                )


OPTIONS: tuple[str, ...] = tuple(name for name in ServeConfiguration.__struct_fields__ if name != "unknown_variables")
"""The names of all options."""


def load_configuration(
    file: Path | None, *, environment: Mapping[str, str], flags: Mapping[str, object]
) -> ServeConfiguration:
    """Returns the configuration that a file, the environment and the command line make together.

    Args:
        file: TOML; None: there is none.
        environment: variables `LIBELLI_<OPTION>`; unknown ones are noted and not refused, since whoever starts the
            process may set some for reasons of his own (Kubernetes does for a service of our name).
        flags: by option; None stands for one that was not given.

    Raises:
        ConfigurationError: something is unknown, missing or cannot be.
    """
    chosen: dict[str, object] = {}
    if file is not None:
        chosen |= _from_file(file)
    from_environment, unknown = _from_environment(environment)
    chosen |= from_environment
    given = {name: value for name, value in flags.items() if value is not None}
    _refuse_unknown(given, where="the command line")
    chosen |= given
    _require(chosen)
    try:
        return msgspec.convert(
            chosen | {"unknown_variables": unknown}, ServeConfiguration, strict=False, dec_hook=_read_path
        )
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"configuration: {error}") from error


def _read_path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str | Path) and str(value):
        return Path(value)
    raise TypeError(f"{value!r} is no path")


def _from_file(file: Path) -> dict[str, object]:
    try:
        found: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}: check the path given with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} is not TOML: {error}") from error
    _refuse_unknown(found, where=str(file))
    if "begin" in found:
        raise ConfigurationError(
            f"{file}: begin = {found['begin']!r} would begin anew whenever the data is lost: say it once on the command"
            " line"
        )
    for index, member in enumerate(found.get("members", ()), start=1):
        if isinstance(member, dict):
            known = MemberConfiguration.__struct_fields__
            _refuse_unknown(member, where=f"{file}, member {index}", known=known)
    for name in ("data", "certificates"):
        if isinstance(found.get(name), str):
            found[name] = str(file.parent / found[name])
    return found


def _from_environment(environment: Mapping[str, str]) -> tuple[dict[str, object], tuple[str, ...]]:
    found: dict[str, object] = {}
    unknown = []
    for variable, value in sorted(environment.items()):
        name = variable.removeprefix(ENVIRONMENT_PREFIX).lower()
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable in NOT_OURS:
            continue
        if name in OPTIONS and name != "members":
            found[name] = value
        else:
            unknown.append(f"{variable}{_nearest(name, OPTIONS)}")
    return found, tuple(unknown)


def _refuse_unknown(found: Mapping[str, object], *, where: str, known: tuple[str, ...] = OPTIONS) -> None:
    for name in found:
        if name not in known:
            raise ConfigurationError(f"{where}: there is no option {name!r}{_nearest(name, known)}")


def _nearest(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    matches = get_close_matches(name, list(known), n=1)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def _require(chosen: Mapping[str, object]) -> None:
    ways = {
        "name": "what the node's certificate calls it",
        "cluster_id": "32 hexadecimal digits, the same on all nodes (openssl rand -hex 16 draws them)",
        "data": "the folder for log and checkpoints",
        "members": "a [[members]] table for each node that founds the cluster",
    }
    for name, way in ways.items():
        if name not in chosen:
            raise ConfigurationError(f"option {name!r} is missing: {way}; packaging/libelli.toml is an example")


def _check_cluster_id(text: str) -> None:
    if len(text) != CLUSTER_DIGITS or not all(digit in "0123456789abcdef" for digit in text):
        raise ConfigurationError(
            f"cluster_id {text!r} is not {CLUSTER_DIGITS} hexadecimal digits in lower case: openssl rand -hex 16 draws"
            " some, once for all nodes"
        )


def _check_members(members: tuple[MemberConfiguration, ...], name: str) -> None:
    if not 1 <= len(members) <= MEMBERS_MAX:
        raise ConfigurationError(f"{len(members)} members; there can be 1 to {MEMBERS_MAX}")
    for what in ("node", "name", "peer", "client"):
        values = [getattr(member, what) for member in members]
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise ConfigurationError(f"two members have {what} {twice!r}: give each its own")
    for member in members:
        if member.node < 1:
            raise ConfigurationError(f"member {member.name!r} has number {member.node}; numbers begin with 1")
        parse_address(member.peer, what=f"peer address of {member.name}")
        parse_address(member.client, what=f"client address of {member.name}")
        if member.grpc:
            parse_address(member.grpc, what=f"gRPC address of {member.name}")
    if not any(member.name == name for member in members):
        names = tuple(member.name for member in members)
        raise ConfigurationError(
            f"name {name!r} is none of the members ({', '.join(names)}){_nearest(name, names)}: add this node to them"
        )


def _check_numbers(configuration: ServeConfiguration) -> None:
    ranges = {
        "quota_bytes": (QUOTA_BYTES_MIN, None),
        "retain_revisions": (0, None),
        "retain_ms": (0, None),
        "flush_bytes": (64 * KIB, 1024 * MIB),
        "flush_age_ms": (100, None),
        "comparison_interval_ms": (0, None),
        "segment_bytes": (SEGMENT_SIZE_MIN, SEGMENT_SIZE_LARGEST),
        "memory_bytes": (MIB, None),
        "retain_entries": (0, None),
    }
    for name, (least, most) in ranges.items():
        value = getattr(configuration, name)
        if value < least or (most is not None and value > most):
            bounds = f"at least {least:,}" if most is None else f"{least:,} to {most:,}"
            raise ConfigurationError(f"{name} is {value:,}; it can be {bounds}")
