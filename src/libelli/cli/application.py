"""The `libelli` command: its families of commands, and the one place where a failure is caught.

::

    main ── run ── application (typer) ── Root.invoke ── a command's function
                                             │ raises
                                             └──► one line on stderr and an exit code (failures.py, exits.py)

Modules of commands import what they need inside their functions: `libelli --help` must not wait for them.
"""

import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import typer
from typer.core import TyperGroup

from libelli.cli import (
    authority,
    connection,
    failures,
    leases,
    loading,
    members,
    reading,
    recovering,
    serving,
    snapshots,
    starting,
    status,
    version,
    watching,
    writing,
)
from libelli.cli.exits import ExitCode
from libelli.cli.settings import CONNECTION_OPTIONS, Invocation, take_options

EPILOG = "Exit codes: 0 done, 1 refused, 2 usage, 3 did not happen, 4 may have happened, 5 configuration, 6 storage."


class Root(TyperGroup):
    """The command without a name; all others run inside its `invoke`."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; whatever it raises becomes a line on stderr and an exit code."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except (typer.Exit, typer.Abort, typer.TyperException, SystemExit):
            raise  # the ways of typer and rich to end; `run` gives each its exit code
        except BaseException as error:  # the top of the program: every failure becomes an exit code here
            raise typer.Exit(_report(error, ctx.obj)) from error
        return result


def _report(error: BaseException, invocation: Invocation) -> int:
    given = invocation.given
    return failures.report(error, as_json=bool(given.get("json")), with_traceback=bool(given.get("traceback")))


def _application() -> typer.Typer:
    application = typer.Typer(
        name="libelli",
        cls=Root,
        help="Libelli: a key/value store that is replicated between regions.",
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    application.callback()(take_options(CONNECTION_OPTIONS))
    for module in (reading, watching, writing, loading, status, starting, serving, recovering, version):
        application.registered_commands += module.commands.registered_commands
    application.registered_commands += members.leadership.registered_commands
    application.add_typer(members.commands, name="member", rich_help_panel="Operation")
    application.add_typer(snapshots.commands, name="snapshot", rich_help_panel="Operation")
    application.add_typer(leases.commands, name="lease", rich_help_panel="Data")
    application.add_typer(authority.commands, name="ca", rich_help_panel="Operation")
    return application


application = _application()


@cache
def _command() -> Any:
    return typer.main.get_command(application)


def run(arguments: Sequence[str] | None = None, *, invocation: Invocation | None = None) -> int:
    """Runs `libelli` and returns its exit code.

    Args:
        arguments: behind the command's name; None: those of this process.
        invocation: how it reaches a cluster; None: for real.
    """
    invocation = invocation or Invocation(connect=connection.connect, environment=os.environ)
    command = _command()
    try:
        code = command.main(args=arguments, prog_name="libelli", standalone_mode=False, obj=invocation)
    except typer.Abort:
        return ExitCode.REFUSED  # a declined question, or the end of the input where one was asked
    except typer.TyperException as error:
        return failures.report_usage(error)
    return code if isinstance(code, int) else ExitCode.OK


def main() -> None:
    """The entry point of the command."""
    sys.exit(run())
