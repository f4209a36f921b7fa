"""`status`: every replica of a collection, as it sees itself."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from libelli.cli.documents import Document
from libelli.cli.output import color_wanted, write_document, write_text
from libelli.cli.settings import Settings, command
from libelli.core.errors import CallError, Code, call_error

if TYPE_CHECKING:
    from libelli.core.calls import GroupStatus, NodeStatus
    from libelli.core.members import Member

commands = typer.Typer()

UNREACHABLE = "unreachable"
UNKNOWN = -1
GROUP_FIELDS = (
    *("role", "term", "leader", "commit", "applied", "first_index", "last_index", "lag"),
    *("revision", "compact_revision", "size_bytes"),
)
COLUMNS = ("name", "pid", "role", "region", "term", "applied", "last_index", "lag", "process", "address")


@command(commands, "status", panel="Operation")
def status(settings: Settings) -> None:
    """Show every replica: who leads, how far each is, and what needs attention.

    Exits with 3 when no replica answers; a replica that does not answer is shown as unreachable.
    """
    with settings.client() as client:
        found = client.statuses()
    document = status_document(found, collection=settings.collection)
    if settings.json:
        write_document(document)
    else:
        write_table(document)
    if all(replica["role"] == UNREACHABLE for replica in document["replicas"]):
        raise call_error(Code.NOT_CONNECTED, "no replica answers: start them (libelli up), or see their logs")


def status_document(found: "Sequence[tuple[Member, NodeStatus | CallError]]", *, collection: str) -> Document:
    """Returns the state of every member; one that did not answer has the role `unreachable`."""
    answered = [status for _, status in found if not isinstance(status, CallError)]
    return {
        "cluster": answered[0].cluster if answered else "",
        "collection": collection,
        "replicas": [replica_document(member, status, collection=collection) for member, status in found],
    }


def replica_document(member: "Member", status: "NodeStatus | CallError", *, collection: str) -> Document:
    """Returns one replica: who it is, what its node says, and what the replica of `collection` says."""
    document: Document = {"name": member.name, "pid": member.node, "region": member.region, "role": UNREACHABLE}
    if not isinstance(status, CallError):
        group = next((group for group in status.groups if group.collection == collection), None)
        document |= {"name": status.name, "region": status.region, "role": "none", "process": status.process}
        document |= {"version": status.version, "uptime_ms": status.uptime_ms, "alarms": list(status.alarms)}
        if group is not None:
            document |= group_document(group)
    else:
        document["error"] = str(status)
    document |= {
        "address": member.client_address,
        "peer_address": member.peer_address,
        "grpc_address": member.grpc_address,
    }
    return document


def group_document(group: "GroupStatus") -> Document:
    """Returns what a replica says of itself; a number that it does not know is -1."""
    return {name: getattr(group, name) for name in GROUP_FIELDS}


def write_table(document: Document) -> None:
    """Writes the table for people, and the alarms below it."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"cluster {document['cluster'] or 'unknown'}, collection {document['collection']}")
    for column in COLUMNS:
        numeric = column in ("pid", "term", "applied", "last_index", "lag", "process")
        table.add_column(column.replace("_", " "), justify="right" if numeric else "left")
    for replica in document["replicas"]:
        role = replica["role"]
        style = {"leader": "bold green", UNREACHABLE: "red"}.get(role, "")
        table.add_row(*(Text(cell(replica, column)) for column in COLUMNS), style=style)
    console = Console(no_color=color_wanted() is False, soft_wrap=True)
    console.print(table)
    for line in alarms(document["replicas"]):
        write_text(line, color=typer.colors.YELLOW)


def cell(replica: Document, column: str) -> str:
    """Returns what a table shows: nothing for what is not known."""
    value: Any = replica.get(column, UNKNOWN)
    if value == UNKNOWN:
        return "–"
    return str(value)


def alarms(replicas: Iterable[Document]) -> list[str]:
    """Returns what an operator should look at, a line each."""
    lines = []
    for replica in replicas:
        lines += [f"{replica['name']}: {alarm}" for alarm in replica.get("alarms", ())]
        if error := replica.get("error"):
            lines.append(f"{replica['name']}: {error}")
    return lines
