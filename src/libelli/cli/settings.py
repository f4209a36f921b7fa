"""The options that all commands share, and the decorator that gives them to a command.

They may stand before or after the command's name (`libelli --json get a`, `libelli get a --json`); after it
wins. A command is a function whose first parameter is `settings`::

    @command(commands, "get")
    def get(settings: Settings, key: KeyArgument) -> None: ...
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from libelli.core.ids import DEFAULT_COLLECTION

if TYPE_CHECKING:
    from libelli.client import Client

TIMEOUT_MS_DEFAULT = 10_000

OUTPUT_OPTIONS: Mapping[str, Any] = {
    "json": Annotated[
        bool | None, typer.Option("--json", help="Answer in JSON: one document, or a line each for streams.")
    ],
    "traceback": Annotated[bool | None, typer.Option("--traceback", help="Show where an error comes from.")],
}
"""For commands that talk to no cluster."""

CONNECTION_OPTIONS: Mapping[str, Any] = {
    "collection": Annotated[
        str | None,
        typer.Option(
            "--collection", "-c", metavar="NAME", help=f"The collection to work on. (default: {DEFAULT_COLLECTION})"
        ),
    ],
    "cluster": Annotated[
        Path | None,
        typer.Option(
            "--cluster",
            metavar="FILE",
            help="The cluster's file. (env: LIBELLI_CLUSTER; default: .libelli/cluster.toml here or above)",
        ),
    ],
    "endpoint": Annotated[
        list[str] | None,
        typer.Option(
            "--endpoint",
            metavar="HOST:PORT",
            help="A node to ask instead of those in the cluster's file; may be repeated. (env: LIBELLI_ENDPOINT)",
        ),
    ],
    "certificates": Annotated[
        Path | None,
        typer.Option(
            "--certificates",
            metavar="FILE",
            help="The bundle (PEM) to identify with instead of the cluster's. (env: LIBELLI_CLIENT_CERTIFICATES)",
        ),
    ],
    "plain": Annotated[
        bool | None, typer.Option("--plain", help="Speak plain text, without certificates; on this machine only.")
    ],
    "timeout_ms": Annotated[
        int | None,
        typer.Option(
            "--timeout-ms",
            min=1,
            metavar="MS",
            help=f"Give up on a call after so many milliseconds. (default: {TIMEOUT_MS_DEFAULT})",
        ),
    ],
    **OUTPUT_OPTIONS,
}
"""For commands that talk to a cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the shared options say, defaults filled in.

    Attributes:
        endpoint: `HOST:PORT` of nodes; empty: those in the cluster's file.
        timeout_ms: of one call.
    """

    collection: str = DEFAULT_COLLECTION
    json: bool = False
    traceback: bool = False
    cluster: Path | None = None
    endpoint: tuple[str, ...] = ()
    certificates: Path | None = None
    plain: bool = False
    timeout_ms: int = TIMEOUT_MS_DEFAULT
    connect: Callable[["Settings"], "Client"]

    def client(self) -> "Client":
        """Returns a client of the cluster that the options name; to be closed by the caller (`with`)."""
        return self.connect(self)


@dataclass(slots=True)
class Invocation:
    """One run of `libelli`: how it reaches a cluster, and what was given before the command's name.

    Attributes:
        connect: makes a client; tests put a fake here.
        environment: variables that stand in for options.
        given: shared options as far as they were given, later ones over earlier ones.
    """

    connect: Callable[[Settings], "Client"]
    environment: Mapping[str, str]
    given: dict[str, Any] = field(default_factory=dict)

    def take(self, options: Mapping[str, Any]) -> None:
        """Remembers those of `options` that were given."""
        self.given.update({name: value for name, value in options.items() if value not in (None, [], ())})

    def settings(self) -> Settings:
        """Returns the settings of the command that runs: what was given, over the environment, over defaults."""
        chosen = _from_environment(self.environment) | self.given
        return Settings(**chosen | {"endpoint": tuple(chosen.get("endpoint", ()))}, connect=self.connect)


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if cluster := environment.get("LIBELLI_CLUSTER"):
        found["cluster"] = Path(cluster)
    if endpoint := environment.get("LIBELLI_ENDPOINT"):
        found["endpoint"] = endpoint.replace(",", " ").split()
    if certificates := environment.get("LIBELLI_CLIENT_CERTIFICATES"):
        found["certificates"] = Path(certificates)
    return found


def command(
    commands: typer.Typer,
    name: str,
    *,
    panel: str | None = None,
    options: Mapping[str, Any] = CONNECTION_OPTIONS,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Returns a decorator that adds a function to `commands` and hands it its `Settings`.

    Args:
        commands: the family that the command belongs to.
        name: what people type.
        panel: the heading under which `--help` lists it.
        options: the shared options that it takes.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        run = with_settings(function, options=options)
        commands.command(name, rich_help_panel=panel)(run)
        return function

    return register


def with_settings(function: Callable[..., None], *, options: Mapping[str, Any]) -> Callable[..., None]:
    """Returns what typer calls: it takes `options` too, and calls `function(settings, …)`."""
    signature = inspect.signature(function)
    own = list(signature.parameters.values())[1:]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in options.items()
    ]
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)

    @wraps(function)
    def run(context: typer.Context, **arguments: Any) -> None:
        invocation = context.find_object(Invocation)
        if invocation is None:
            raise RuntimeError("the root command has not set up its invocation")
        invocation.take({name: arguments.pop(name) for name in options})
        function(invocation.settings(), **arguments)

    parameters = [context, *(p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own), *shared]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def take_options(options: Mapping[str, Any]) -> Callable[..., None]:
    """Returns the function that typer calls for what stands before a command's name."""

    def take(settings: Settings) -> None:
        """Libelli: a key/value store that is replicated between regions."""

    return with_settings(take, options=options)
