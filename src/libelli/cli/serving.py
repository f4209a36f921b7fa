"""`serve`: one replica, in this process, until it is told to stop.

Its options are those of the configuration (`live.configuration.ServeConfiguration`) with - in place of _; a test
compares the two.
"""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from libelli.cli.choices import Beginning
from libelli.cli.settings import OUTPUT_OPTIONS, Settings, command

commands = typer.Typer()


def _option(name: str, help_text: str, *, metavar: str | None = None) -> Any:
    return typer.Option(f"--{name}", help=help_text, metavar=metavar, show_default=False)


@command(commands, "serve", panel="This machine", options=OUTPUT_OPTIONS)
def serve(
    settings: Settings,
    *,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Its configuration (TOML).", dir_okay=False)
    ] = None,
    begin: Annotated[
        Beginning | None,
        typer.Option("--begin", help="An empty data folder begins a new cluster, or joins one. (default: refused)"),
    ] = None,
    name: Annotated[str | None, _option("name", "What its certificate calls it.")] = None,
    cluster_id: Annotated[str | None, _option("cluster-id", "32 hexadecimal digits, the same on all nodes.")] = None,
    data: Annotated[Path | None, _option("data", "The data folder.", metavar="DIR")] = None,
    certificates: Annotated[Path | None, _option("certificates", "Its bundle.", metavar="FILE")] = None,
    plain: Annotated[bool | None, typer.Option("--plain", help="No TLS; only on loopback addresses.")] = None,
    listen_peer: Annotated[str | None, _option("listen-peer", "Where it listens for nodes.")] = None,
    listen_client: Annotated[str | None, _option("listen-client", "Where it listens for clients.")] = None,
    listen_grpc: Annotated[str | None, _option("listen-grpc", "Where it listens for gRPC.")] = None,
    listen_metrics: Annotated[str | None, _option("listen-metrics", "Where /livez, /readyz, /metrics are.")] = None,
    timing: Annotated[str | None, _option("timing", "lan, regions or wan; the same on all nodes.")] = None,
    read_mode: Annotated[str | None, _option("read-mode", "round or lease.")] = None,
    quota_bytes: Annotated[int | None, _option("quota-bytes", "Keys, values and history.")] = None,
    retain_revisions: Annotated[int | None, _option("retain-revisions", "Compact older history (0: never).")] = None,
    retain_ms: Annotated[int | None, _option("retain-ms", "Compact older history (0: never).")] = None,
    flush_bytes: Annotated[int | None, _option("flush-bytes", "Changes in memory before a checkpoint.")] = None,
    flush_age_ms: Annotated[int | None, _option("flush-age-ms", "A smaller rest is written after this time.")] = None,
    comparison_interval_ms: Annotated[
        int | None, _option("comparison-interval-ms", "How often replicas are compared (0: never).")
    ] = None,
    segment_bytes: Annotated[int | None, _option("segment-bytes", "Of a log file.")] = None,
    memory_bytes: Annotated[int | None, _option("memory-bytes", "Recent entries in memory.")] = None,
    retain_entries: Annotated[int | None, _option("retain-entries", "Kept in the log for slow followers.")] = None,
    log_level: Annotated[str | None, _option("log-level", "debug, info, warning or error.")] = None,
    log_format: Annotated[str | None, _option("log-format", "auto, text or json.")] = None,
) -> None:
    """Run one replica in this process until SIGTERM or Ctrl-C.

    Options stand in a file (--config), over it in the environment (LIBELLI_QUOTA_BYTES=…), over it here.
    """
    flags = {key: value for key, value in locals().items() if key not in ("settings", "config")}
    from libelli.live.configuration import load_configuration
    from libelli.live.process import serve as run

    configuration = load_configuration(config, environment=os.environ, flags=flags)
    code = run(configuration)
    if code:
        raise typer.Exit(code)
