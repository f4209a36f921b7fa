"""docs/commands.md says what the program does."""

import re
from collections.abc import Iterator

from libelli.cli.exits import ExitCode
from tests.cli.commands import Shell
from tests.cli.commands_page import PAGE, leaves, page
from tests.tidy.sources import ROOT

DOCUMENTS = ("README.md", "DESIGN.md", "SECURITY.md", "CONTRIBUTING.md", "docs/runbook.md", "docs/commands.md")
INVOCATION = re.compile(r"\blibelli ((?:[a-z-]+ )*[a-z-]+)((?: (?:--?[a-zA-Z-]+|\S+))*)")


def test_the_commands_are_described_as_the_program_describes_them() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text), "run: make docs"


def test_the_table_of_exit_codes_is_complete() -> None:
    table = PAGE.read_text(encoding="utf-8").split("<!-- exit codes -->")[1].split("<!-- /exit codes -->")[0]
    rows = re.findall(r"^\| (\d+) \| `([A-Z_]+)` \|", table, re.MULTILINE)
    assert [(int(code), name) for code, name in rows] == [(code.value, code.name) for code in ExitCode]


def shell_lines() -> Iterator[tuple[str, str]]:
    """Lines of documents that call the program, with their document."""
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        for block in re.findall(r"^ *```(?:sh)?\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE):
            for line in block.splitlines():
                if (found := re.match(r"\s*(?:\.venv/bin/)?libelli ([^|>&#]*)", line)) is not None:
                    yield name, found[1]


def known_commands() -> dict[tuple[str, ...], set[str]]:
    import typer

    from libelli.cli.application import application

    return {
        words: {option for parameter in leaf.params for option in (*parameter.opts, *parameter.secondary_opts)}
        for words, leaf in leaves(typer.main.get_command(application))
    }


def test_documents_use_commands_and_options_that_are_there() -> None:
    known = known_commands()
    wrong = []
    for document, line in shell_lines():
        words = line.split()
        command = tuple(words[:2]) if tuple(words[:2]) in known else tuple(words[:1])
        options = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        if command not in known or options - known[command] - {"--help", "--install-completion"}:
            wrong.append(f"{document}: libelli {line}")
    assert wrong == []


def test_the_short_help_names_every_family(shell: Shell) -> None:
    out = shell("--help").out
    assert all(name in out for name in ("up", "serve", "put", "get", "load", "status", "member", "snapshot", "ca"))


def test_only_commands_that_ask_say_that_they_do_not_ask() -> None:
    import typer

    from libelli.cli.application import application

    silent = {
        " ".join(words)
        for words, leaf in leaves(typer.main.get_command(application))
        for parameter in leaf.params
        if "--yes" in parameter.opts and parameter.help == "Do not ask."
    }
    assert silent == {"member remove", "recover"}
