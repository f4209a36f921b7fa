"""The `libelli` command: its families of commands, and the one place where a failure is caught.

::

    main ── application (typer) ── Root.invoke ── a command's function
                                      │ raises
                                      └──► one line on stderr and an exit code (failures.py, exits.py)

Modules of commands import what they need inside their functions: `libelli --help` must not wait for them.
"""

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from libelli.cli import connection, failures
from libelli.cli.settings import Invocation


class Root(TyperGroup):
    """The command without a name; all others run inside its `invoke`."""

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; whatever it raises becomes a line on stderr and an exit code."""
        if ctx.obj is None:
            ctx.obj = Invocation(connect=connection.connect, environment=os.environ)
        given = ctx.obj.given
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except (typer.Exit, typer.Abort, typer.TyperException):
            raise  # typer's own way to end: usage errors (2), --help (0), a declined question (1)
        except BaseException as error:  # the top of the program: every failure becomes an exit code here
            code = failures.report(error, as_json=bool(given.get("json")), with_traceback=bool(given.get("traceback")))
            raise typer.Exit(code) from error
        return result
