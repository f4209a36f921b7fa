"""What a failed command says: one line on stderr, in red on a terminal; a traceback only when asked for.

With `--json` the line is a JSON document: `error`, `outcome`, `exit`, and `code` for errors of a call.
"""

import json
import os
import sys
import traceback

import typer

from libelli.cli.exits import ExitCode, exit_code_of
from libelli.cli.output import color_wanted
from libelli.core.errors import CallError, LibelliError, MayHaveHappened

SILENT = (BrokenPipeError, KeyboardInterrupt)
"""Nothing went wrong: whoever started the command ended it. A Ctrl-C with a message is told, see `is_told`."""


def report(error: BaseException, *, as_json: bool, with_traceback: bool) -> ExitCode:
    """Says on stderr what went wrong and returns the exit code."""
    code = exit_code_of(error)
    if isinstance(error, SILENT) and not is_told(error):
        if isinstance(error, BrokenPipeError):
            discard_output()
        return code
    if with_traceback:
        typer.echo("".join(traceback.format_exception(error)), err=True, nl=False)
    line = message_of(error)
    if as_json:
        typer.echo(json.dumps(document_of(error, line, code), ensure_ascii=False), err=True)
    else:
        typer.secho(f"libelli: {line}", err=True, fg=typer.colors.RED, color=color_wanted())
    return code


def is_told(error: BaseException) -> bool:
    """Returns whether a command that was interrupted left word of how far it came."""
    return isinstance(error, KeyboardInterrupt) and bool(error.args)


def report_usage(error: typer.TyperException) -> ExitCode:
    """Says what cannot be read in the command line, and where to look; a missing command was answered with the help."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        return ExitCode.USAGE  # the help was printed when it was raised
    where = f" (see {context.command_path} --help)" if context is not None else ""
    line = " ".join(error.format_message().split()).rstrip(".")
    typer.secho(f"libelli: {line}{where}", err=True, fg=typer.colors.RED, color=color_wanted())
    return ExitCode.USAGE


def message_of(error: BaseException) -> str:
    """Returns what happened in one line."""
    if isinstance(error, LibelliError | KeyboardInterrupt):
        line = str(error) or type(error).__name__
    elif isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        line = f"{where}{error.strerror or error}"
    else:
        line = f"internal error: {type(error).__name__}: {error}; run it again with --traceback and report that"
    return " ".join(line.split())


def document_of(error: BaseException, line: str, code: ExitCode) -> dict[str, object]:
    """Returns the same for programs."""
    outcome = "may have happened" if isinstance(error, MayHaveHappened | KeyboardInterrupt) else "did not happen"
    document: dict[str, object] = {"error": line, "outcome": outcome, "exit": int(code)}
    if isinstance(error, CallError):
        document["code"] = error.code.name
    return document


def discard_output() -> None:
    """Points stdout at nothing, so that what is still buffered for the closed pipe raises no second error."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, sys.stdout.fileno())
    except (OSError, ValueError):  # a stdout without a descriptor has no buffer of a closed pipe either
        pass
    finally:
        os.close(nothing)
