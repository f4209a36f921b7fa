"""`lease grant|revoke|keep-alive|list`: keys that end with their owner."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from libelli.cli.documents import lease_document
from libelli.cli.keys import shown
from libelli.cli.output import write_document, write_line, write_text
from libelli.cli.settings import Settings, command
from libelli.core.errors import Code, call_error

if TYPE_CHECKING:
    from libelli.client import Client
    from libelli.stores.mvcc.commands import LeaseState

commands = typer.Typer(no_args_is_help=True, help="Leases: keys that end when nobody keeps them alive.")

LeaseArgument = Annotated[int, typer.Argument(metavar="LEASE", help="Its number.")]
KEEP_ALIVES_A_TTL = 3
"""How often a lease is renewed within its time, so that one lost renewal does not end it."""


@command(commands, "grant")
def grant(
    settings: Settings,
    ttl_s: Annotated[int, typer.Argument(metavar="TTL_S", min=1, help="How long it lasts, in seconds.")],
    *,
    lease: Annotated[
        int, typer.Option("--id", min=0, metavar="LEASE", help="Choose its number.", show_default=False)
    ] = 0,
) -> None:
    """Make a lease of TTL_S seconds and print its number."""
    with settings.client() as client:
        answer = client.grant_lease(ttl_s, lease=lease, collection=settings.collection)
    if settings.json:
        write_document({"collection": settings.collection, "lease": answer.lease, "ttl_s": answer.ttl_s})
    else:
        write_text(f"{answer.lease}")


@command(commands, "revoke")
def revoke(settings: Settings, lease: LeaseArgument) -> None:
    """End a lease now and delete its keys."""
    with settings.client() as client:
        answer = client.revoke_lease(lease, collection=settings.collection)
    if settings.json:
        write_document({"collection": settings.collection, "lease": lease, "revision": answer.revision})
    else:
        write_text(f"lease {lease} has ended, revision {answer.revision}")


@command(commands, "keep-alive")
def keep_alive(
    settings: Settings,
    lease: LeaseArgument,
    *,
    once: Annotated[bool, typer.Option("--once", help="Renew it once instead of until Ctrl-C.")] = False,
) -> None:
    """Keep a lease alive until Ctrl-C; with --once, renew it once."""
    with settings.client() as client:
        while True:
            ttl_s = renew(client, settings, lease)
            if once:
                return
            time.sleep(ttl_s / KEEP_ALIVES_A_TTL)


def renew(client: "Client", settings: Settings, lease: int) -> int:
    """Renews a lease, says so, and returns how long it lasts now, in seconds.

    Raises:
        Refused: it is not there, or has ended.
    """
    ttl_s = client.keep_alive(lease, collection=settings.collection)
    if not ttl_s:
        raise call_error(Code.LEASE_NOT_FOUND, f"lease {lease} is not there or has ended: grant a new one")
    if settings.json:
        write_line({"collection": settings.collection, "lease": lease, "ttl_s": ttl_s})
    else:
        write_text(f"lease {lease} lasts {ttl_s} s from now")
    return ttl_s


@command(commands, "list")
def list_(
    settings: Settings,
    lease: Annotated[int, typer.Argument(metavar="[LEASE]", min=0, help="Only this one.", show_default=False)] = 0,
    *,
    keys: Annotated[bool, typer.Option("--keys", help="Show the keys that end with it.")] = False,
) -> None:
    """List leases with their time."""
    with settings.client() as client:
        leases = client.leases(lease, keys=keys, collection=settings.collection)
    if lease and not leases:
        raise call_error(Code.LEASE_NOT_FOUND, f"lease {lease} is not there or has ended: grant a new one")
    if settings.json:
        write_document({"collection": settings.collection, "leases": [lease_document(each) for each in leases]})
        return
    for each in leases:
        write_text(lease_line(each))


def lease_line(lease: "LeaseState") -> str:
    """Returns a lease in one line."""
    left = f"{lease.remaining_ms / 1000:.1f} s left" if lease.remaining_ms >= 0 else "time left unknown"
    keys = "".join(f"\t{shown(key)}" for key in lease.keys)
    return f"{lease.lease}\t{lease.ttl_s} s\t{left}{keys}"
