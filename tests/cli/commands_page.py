"""Writes the second half of docs/commands.md: every command as the program itself describes it.

    make docs      rewrites the part between the markers

A test fails when the page says something else than the program.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from libelli.cli.application import application

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
BEGIN = "<!-- commands: made by tests/cli/commands_page.py -->"
END = "<!-- /commands -->"
SHARED = frozenset(
    {"--collection", "--cluster", "--endpoint", "--certificates", "--plain", "--timeout-ms", "--json", "--traceback"}
)
"""Options of nearly every command, described once."""


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yields every command with its words, families in their order."""
    children = getattr(command, "commands", None)
    if children is None:
        yield words, command
        return
    for name in children:
        yield from leaves(children[name], (*words, name))


def names_of(parameter: Any) -> str:
    """Returns how an option is written."""
    return ", ".join([*parameter.opts, *parameter.secondary_opts])


def usage_of(words: tuple[str, ...], command: Any) -> str:
    """Returns the line that shows how a command is called."""
    arguments = [parameter.metavar or parameter.name for parameter in command.params if not is_option(parameter)]
    return " ".join(["libelli", *words, *arguments])


def is_option(parameter: Any) -> bool:
    """Whether it is written with dashes."""
    return bool(parameter.opts[0].startswith("-"))


def section(words: tuple[str, ...], command: Any) -> Iterator[str]:
    """Yields the lines about one command."""
    yield f"### {' '.join(words)}\n"
    yield f"```\n{usage_of(words, command)}\n```\n"
    yield " ".join((command.help or "").split()) + "\n"
    options = [parameter for parameter in command.params if is_option(parameter)]
    own = [each for each in options if not set(each.opts) & SHARED or words == ("serve",)]
    if own:
        yield "| option | |\n|---|---|"
        for each in own:
            metavar = f" {each.metavar}" if each.metavar else ""
            yield f"| `{names_of(each)}{metavar}` | {' '.join((each.help or '').split())} |"
        yield ""


def body() -> str:
    """Returns what stands between the markers."""
    command = typer.main.get_command(application)
    return "\n".join(line for words, leaf in leaves(command) for line in section(words, leaf)).strip()


def page(text: str) -> str:
    """Returns the page `text` with its generated part made anew."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{body()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
