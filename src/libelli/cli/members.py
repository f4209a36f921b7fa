"""`member add|remove|promote|list` and `transfer`: who belongs to the cluster, and who leads it."""

from typing import TYPE_CHECKING, Annotated

import typer

from libelli.cli.settings import Settings, command

if TYPE_CHECKING:
    pass

commands = typer.Typer(no_args_is_help=True, help="The members of the cluster.")
leadership = typer.Typer()

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The replica's name.")]


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
