"""`member add|remove|promote|list` and `transfer`: who belongs to the cluster, and who leads it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from libelli.cli.documents import Document
from libelli.cli.output import write_document, write_text
from libelli.cli.parameters import YesOption
from libelli.cli.settings import Settings, command
from libelli.cli.usage import UsageError

if TYPE_CHECKING:
    from libelli.core.members import Member

commands = typer.Typer(no_args_is_help=True, help="The members of the cluster.")
leadership = typer.Typer()

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The replica's name.")]


@command(commands, "list")
def list_(settings: Settings) -> None:
    """List the members as the leader knows them."""
    with settings.client() as client:
        client.members()  # finds the leader, whose answer is the newest
        status = client.status()
    group = next((group for group in status.groups if group.collection == settings.collection), None)
    voters, learners = (group.voters, group.learners) if group else ((), ())
    documents = [member_document(member, vote=True) for member in voters]
    documents += [member_document(member, vote=False) for member in learners]
    if settings.json:
        write_document({"cluster": status.cluster, "members": documents})
        return
    for each in documents:
        kind = "voter" if each["vote"] else "learner"
        write_text(f"{each['pid']}\t{each['name']}\t{each['region']}\t{kind}\t{each['address']}")


@command(commands, "add")
def add(
    settings: Settings,
    name: NameArgument,
    *,
    region: Annotated[str, typer.Option("--region", metavar="NAME", help="Where it stands.")] = "",
    peer: Annotated[
        str, typer.Option("--peer", metavar="HOST:PORT", help="Where the other nodes reach it.", show_default=False)
    ] = "",
    client_address: Annotated[
        str, typer.Option("--client", metavar="HOST:PORT", help="Where clients reach it.", show_default=False)
    ] = "",
    grpc: Annotated[
        str, typer.Option("--grpc", metavar="HOST:PORT", help="Its gRPC door, if it has one.", show_default=False)
    ] = "",
) -> None:
    """Add a member that learns until it is promoted.

    Without --peer it is to run on this machine: then its certificate, ports and configuration are made, and the
    command that starts it is printed.
    """
    from libelli.cli.growing import Growth

    growth = Growth.here(settings.cluster) if not peer else None
    if growth is not None:
        growth.prepare(name, region=region)
        peer, client_address, grpc = growth.place.peer, growth.place.client, growth.place.grpc
    with settings.client() as client:
        member = client.add_member(
            name, region=region, peer_address=peer, client_address=client_address, grpc_address=grpc
        )
    start = growth.finish(member.node) if growth is not None else ""
    if settings.json:
        write_document(member_document(member, vote=False) | {"start": start})
        return
    write_text(f"{name} is member {member.node} and learns; it has no vote yet")
    if start:
        write_text(f"start it:    {start}")
    write_text(f"when it has caught up (libelli status): libelli member promote {name}")


@command(commands, "promote")
def promote(settings: Settings, name: NameArgument) -> None:
    """Give a member that has caught up a vote."""
    with settings.client() as client:
        member = client.promote_member(name)
    _tell(settings, member, vote=True, text=f"{name} votes")


@command(commands, "remove")
def remove(settings: Settings, name: NameArgument, *, yes: YesOption = False) -> None:
    """Remove a member; its number is never used again, and its data folder is of no use any more."""
    if not yes:
        typer.confirm(
            f"remove {name}? It can only come back as a new member, with an empty folder", abort=True, err=True
        )
    with settings.client() as client:
        member = client.remove_member(name)
    _forget(settings.cluster, name)
    _tell(settings, member, vote=False, text=f"{name} is removed: stop it, and revoke its certificate")


@command(leadership, "transfer", panel="Operation")
def transfer(
    settings: Settings,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="Who is to lead; without it, the one that is furthest.", show_default=False
        ),
    ] = None,
) -> None:
    """Hand leadership over to another replica, so that its machine can be stopped without a pause."""
    if name == "":
        raise UsageError("the name is empty: leave it away, or name a replica")
    with settings.client() as client:
        member = client.transfer_leadership(name) if name else client.transfer_leadership()
    if settings.json:
        write_document({"leader": member.name if member else None})
    else:
        write_text(f"{member.name} is to lead" if member else "another replica is to lead")


def member_document(member: "Member", *, vote: bool) -> Document:
    """Returns a member as the cluster knows it."""
    return {
        "name": member.name,
        "pid": member.node,
        "region": member.region,
        "vote": vote,
        "address": member.client_address,
        "peer_address": member.peer_address,
        "grpc_address": member.grpc_address,
    }


def _tell(settings: Settings, member: "Member", *, vote: bool, text: str) -> None:
    if settings.json:
        write_document(member_document(member, vote=vote))
    else:
        write_text(text)


def _forget(cluster: Path | None, name: str) -> None:
    """Takes a removed member out of the cluster's file, if there is one."""
    from libelli.cli.connection import cluster_file_path
    from libelli.live.cluster_file import read_cluster_file, write_cluster_file

    path = cluster_file_path(cluster)
    if path is not None:
        write_cluster_file(path, read_cluster_file(path).without_member(name))
