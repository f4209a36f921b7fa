"""`up`: a whole cluster on this machine, for trying things out and for development."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from libelli.cli.settings import OUTPUT_OPTIONS, Settings, command

if TYPE_CHECKING:
    from libelli.live.cluster_file import ClusterFile

commands = typer.Typer()


@command(commands, "up", panel="This machine", options=OUTPUT_OPTIONS)
def up(
    settings: Settings,
    *,
    replicas: Annotated[
        int | None, typer.Option("--replicas", min=1, metavar="N", help="How many, in a new cluster. (default: 3)")
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option("--region", metavar="NAME", help="A region of a new cluster; several are dealt out in turn."),
    ] = None,
    data: Annotated[
        Path, typer.Option("--data", metavar="DIR", help="Where everything of the cluster is.", file_okay=False)
    ] = Path(".libelli"),
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=1024,
            max=65_000,
            metavar="N",
            help="First port of a new cluster; taken ones are left out. (default: the first free ones from 7400 on)",
        ),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="A new cluster without TLS; on this machine only.")] = False,
) -> None:
    """Start a cluster of replicas on this machine, secured by itself, and keep it until Ctrl-C.

    Run it again to go on with the same data; replicas that run already are taken over. A replica that dies is
    reported and not started again, so that its loss can be seen.
    """
    from libelli.cli.supervision import Supervision, stop_signals
    from libelli.live.founding import PORT_DEFAULT, REGIONS_DEFAULT, Wish, ensure_cluster
    from libelli.live.lock import DirectoryLock
    from libelli.live.up import Replicas

    wish = Wish(
        replicas=replicas or max(3, len(region or ())),
        regions=tuple(region or REGIONS_DEFAULT),
        port=port or PORT_DEFAULT,
        is_plain=plain,
    )
    lock = DirectoryLock(data)
    try:
        path, content, is_new = ensure_cluster(data, wish)
        if not is_new:
            refuse_other_wish(content, replicas=replicas, region=region, port=port, plain=plain, path=path)
        refuse_gone(data, content)
        running = Replicas(data, content)
        with stop_signals() as asked:
            Supervision(settings, data, content, running, asked).run(is_new=is_new)
    finally:
        lock.release()


def refuse_gone(folder: Path, content: "ClusterFile") -> None:
    """Refuses a cluster of which a member's folder is gone, before anything is started.

    Raises:
        ConfigurationError: naming what is gone, and the way out; or a configuration cannot be used.
    """
    from libelli.cli.hints import program, serve_line
    from libelli.core.errors import ConfigurationError
    from libelli.live.presence import find_gone
    from libelli.live.replica_files import data_path

    gone = find_gone(folder, content)
    if not gone:
        return
    left = [place for place in content.members if place.name not in gone]
    here = [place for place in left if place.folder]
    what = ", ".join(f"{path} of {name}" for name, path in gone.items())
    me = program()
    if len(left) > len(content.members) // 2:
        starts = "; ".join(serve_line(folder, place) for place in here)
        way = (
            f"start the others by hand ({starts}), remove it ({me} member remove {next(iter(gone))}), and add a new one"
            f" under another name ({me} member add)"
        )
    elif here:
        survivors = " ".join(str(data_path(folder, place)) for place in here)
        way = f"if a majority is gone for ever, recover: {me} recover {survivors} --data recovered"
    else:
        way = f"make a new cluster of a backup: {me} snapshot restore FILE --data restored"
    raise ConfigurationError(f"gone: {what}; nothing was started: put it back from a copy, or {way}")


def refuse_other_wish(
    content: "ClusterFile",
    *,
    replicas: int | None,
    region: list[str] | None,
    port: int | None,
    plain: bool,
    path: Path,
) -> None:
    """Refuses options for a new cluster that the one which is there does not fulfil.

    Raises:
        UsageError: naming the option.
    """
    from libelli.cli.usage import UsageError

    members = content.members
    if replicas not in (None, len(members)):
        raise UsageError(
            f"--replicas {replicas}: the cluster in {path} has {len(members)} members: grow it with libelli member "
            "add, or begin another with --data DIR"
        )
    there = [place.region for place in members]
    if region and not set(region) <= set(there):
        raise UsageError(f"--region {region[0]}: the cluster in {path} has {', '.join(there)}: leave the option away")
    if port is not None and not any(place.peer.endswith(f":{port}") for place in members):
        raise UsageError(f"--port {port}: the cluster in {path} has its ports already: leave the option away")
    if plain and content.bundle:
        raise UsageError(f"--plain: the cluster in {path} uses TLS: begin another with --data DIR")
