"""`status`: every replica of a collection, as it sees itself."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from libelli.cli.documents import Document
from libelli.cli.output import color_wanted, write_list, write_text
from libelli.cli.settings import Settings, command
from libelli.core.errors import CallError, Code, Unavailable, call_error

if TYPE_CHECKING:
    from libelli.core.calls import GroupStatus, NodeStatus
    from libelli.core.members import Member

commands = typer.Typer()

DOWN = "down"
LEADER = "leader"
NONE = "none"
UNKNOWN = -1
TIMEOUT_MS_MAX = 3_000
"""How long a replica is waited for: one that is slower is shown as down, with that reason."""
GROUP_FIELDS = (
    *("role", "term", "leader", "commit", "applied", "first_index", "last_index", "lag"),
    *("revision", "compact_revision", "size_bytes"),
)
COLUMNS = ("name", "pid", "role", "region", "term", "applied", "last_index", "lag", "process", "address")
NUMERIC = frozenset({"pid", "term", "applied", "last_index", "lag", "process"})


@command(commands, "status", panel="Operation")
def status(settings: Settings) -> None:
    """Show every replica: who leads, how far each is, and what needs attention.

    A replica that does not answer is shown as down. Exits with 3 when none answers.
    """
    found = statuses(settings)
    refuse_unknown([answer for _, answer in found], collection=settings.collection)
    replicas = [replica_document(member, answer, collection=settings.collection) for member, answer in found]
    compare_with_leader(replicas)
    if settings.json:
        write_list(replicas)
    else:
        write_table(replicas, collection=settings.collection)
    if all(replica["role"] == DOWN for replica in replicas):
        raise call_error(Code.NOT_CONNECTED, "no replica answers: start them (libelli up), or see their logs")


def refuse_unknown(answers: "Sequence[NodeStatus | CallError]", *, collection: str) -> None:
    """Refuses a collection that none of those who answer has; a new replica that has none at all says nothing yet.

    Raises:
        Refused: naming the collections that are there.
    """
    groups = [group for answer in answers if not isinstance(answer, CallError) for group in answer.groups]
    known = sorted({group.collection for group in groups})
    if known and collection not in known:
        raise call_error(
            Code.UNKNOWN_COLLECTION, f"no collection {collection!r} is here; there are: {', '.join(known)}"
        )


def statuses(settings: Settings) -> "Sequence[tuple[Member, NodeStatus | CallError]]":
    """Returns what each member says of itself; when nobody answers, the members that the cluster's file names.

    Raises:
        CallError: nobody answers, and no members are known.
    """
    timeout_ms = min(settings.timeout_ms, TIMEOUT_MS_MAX)
    with settings.client() as client:
        try:
            if not (found := client.statuses(timeout_ms=timeout_ms)):
                # Whoever was asked is so new that it knows of no members, itself included: the leader does.
                client.members(timeout_ms=timeout_ms)
                found = client.statuses(timeout_ms=timeout_ms)
            return found
        except CallError as error:
            if not isinstance(error, Unavailable) or not (members := known_members(settings)):
                raise
            return [(member, error) for member in members]


def known_members(settings: Settings) -> "list[Member]":
    """Returns the members that the cluster's file names; none where there is no file."""
    from libelli.cli.connection import cluster_file_path
    from libelli.live.cluster_file import read_cluster_file

    path = None if settings.endpoint else cluster_file_path(settings.cluster)
    return [place.member() for place in read_cluster_file(path).members] if path is not None else []


def replica_document(member: "Member", answer: "NodeStatus | CallError", *, collection: str) -> Document:
    """Returns one replica: who it is, what its node says, and what its replica of `collection` says."""
    document: Document = {"name": member.name, "pid": member.node, "process": None, "role": DOWN}
    document |= {"region": member.region, "collection": collection} | dict.fromkeys(GROUP_FIELDS[1:])
    if isinstance(answer, CallError):
        document["error"] = str(answer)
    else:
        document |= node_fields(answer)
        group = next((group for group in answer.groups if group.collection == collection), None)
        document |= {"role": NONE} if group is None else group_fields(group)
    document |= {
        "address": member.client_address,
        "peer_address": member.peer_address,
        "grpc_address": member.grpc_address,
    }
    return document


def compare_with_leader(replicas: Sequence[Document]) -> None:
    """Sets each lag by what the leader said: a replica that hears of no leader does not know how far it is behind."""
    ahead = max((replica["last_index"] for replica in replicas if replica["role"] == LEADER), default=None)
    for replica in replicas:
        if ahead is not None and replica["applied"] is not None:
            replica["lag"] = max(0, ahead - replica["applied"])


def node_fields(status: "NodeStatus") -> Document:
    """Returns what a node says of itself."""
    return {
        "region": status.region,
        "process": status.process,
        "cluster": status.cluster,
        "version": status.version,
        "uptime_ms": status.uptime_ms,
        "alarms": list(status.alarms),
    }


def group_fields(group: "GroupStatus") -> Document:
    """Returns what a replica says of itself; a lag that it does not know is -1."""
    return {name: getattr(group, name) for name in GROUP_FIELDS}


def write_table(replicas: Sequence[Document], *, collection: str) -> None:
    """Writes the table for people, and below it what needs attention."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cluster = next((replica["cluster"] for replica in replicas if "cluster" in replica), "unknown")
    table = Table(title=f"cluster {cluster}, collection {collection}", title_justify="left")
    for column in COLUMNS:
        table.add_column(column.replace("_", " "), justify="right" if column in NUMERIC else "left", no_wrap=True)
    for replica in replicas:
        style = {LEADER: "bold green", DOWN: "red"}.get(replica["role"], "")
        table.add_row(*(Text(cell(replica, column)) for column in COLUMNS), style=style)
    console = Console(no_color=color_wanted() is False)
    if not console.is_terminal:
        console.width = 200  # a pipe has no width: nothing is cut
    console.print(table)
    for line in attention(replicas):
        write_text(line, color=typer.colors.YELLOW)


def cell(replica: Document, column: str) -> str:
    """Returns what the table shows: a dash for what is not known."""
    value: Any = replica.get(column)
    return "–" if value is None or value == UNKNOWN else str(value)


def attention(replicas: Iterable[Document]) -> list[str]:
    """Returns what an operator should look at, a line each."""
    lines = []
    for replica in replicas:
        lines += [f"{replica['name']}: {alarm}" for alarm in replica.get("alarms", ())]
        if error := replica.get("error"):
            lines.append(f"{replica['name']}: {error}")
    return lines
