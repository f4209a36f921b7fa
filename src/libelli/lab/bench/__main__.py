"""`python -m libelli.lab.bench`: measures Libelli beside its rivals, in one interleaved run."""

import asyncio
import platform
import tempfile
import time
from pathlib import Path
from typing import Annotated, cast

import msgspec
import typer
from rich.console import Console

from libelli.lab.bench.etcd.target import EtcdTarget
from libelli.lab.bench.libelli.target import LibelliTarget
from libelli.lab.bench.load import Operation
from libelli.lab.bench.plan import Plan
from libelli.lab.bench.report import tables
from libelli.lab.bench.runner import Observation, Runner
from libelli.lab.bench.syncobj.target import SyncObjTarget
from libelli.lab.bench.target import BenchError, Target
from libelli.lab.bench.workload import Workload

TARGETS = {"libelli": LibelliTarget, "etcd": EtcdTarget, "pysyncobj": SyncObjTarget}


def _words(text: str, allowed: tuple[str, ...], option: str) -> list[str]:
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if word not in allowed:
            raise typer.BadParameter(f"{word!r} is none of {', '.join(allowed)}", param_hint=option)
    return words


def _counts(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise typer.BadParameter(f"{text!r} is no list of counts such as 1,64,2048", param_hint="--in-flight")
    return [int(word) for word in words]


def _environment() -> str:
    model = "unknown processor"
    information = Path("/proc/cpuinfo")
    if information.exists():
        models = [line for line in information.read_text().splitlines() if line.startswith("model name")]
        model = f"{len(models)} × {models[0].partition(':')[2].strip()}" if models else model
    return f"{model}; Linux {platform.release()}; Python {platform.python_version()}"


def main(
    *,
    targets: Annotated[
        str, typer.Option(help="Stores to measure, of libelli, etcd, pysyncobj.")
    ] = "libelli,etcd,pysyncobj",
    operations: Annotated[str, typer.Option(help="Of put, get.")] = "put,get",
    in_flight: Annotated[str, typer.Option(help="Commands under way in the closed loops.")] = "1,16,64,256,2048",
    rounds: Annotated[int, typer.Option(min=1, help="How often each cell is measured.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.2, help="Length of a closed-loop cell.")] = 3.0,
    open_seconds: Annotated[float, typer.Option(min=0, help="Length of an open-loop cell; 0: none.")] = 10.0,
    open_loop_rate: Annotated[
        float, typer.Option(min=0, help="Puts a second of the open loop; 0: half of etcd's best.")
    ] = 0.0,
    keys: Annotated[int, typer.Option(min=1, help="Keys that are loaded, then written and read.")] = 10_000,
    value_bytes: Annotated[int, typer.Option(min=1, max=1 << 20)] = 128,
    doubled: Annotated[bool, typer.Option(help="Also measure with two generators.")] = True,
    seed: Annotated[int, typer.Option()] = 1,
    output: Annotated[Path, typer.Option(help="Folder for the observations, a JSON line each.")] = Path(
        "bench-results"
    ),
) -> None:
    """Measures stores of three durable replicas on this machine, interleaved, and prints their ratios."""
    console = Console(width=150, highlight=False)
    chosen = _words(targets, tuple(TARGETS), "--targets")
    plan = Plan(
        Workload(keys, value_bytes, seed),
        operations=cast(list[Operation], _words(operations, ("put", "get"), "--operations")),
        in_flight=_counts(in_flight),
        rounds=rounds,
        seconds=seconds,
        open_seconds=open_seconds,
        open_rate=open_loop_rate,
        doubled=doubled,
        seed=seed,
    )
    output.mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(_run(plan, [TARGETS[name]() for name in chosen], output=output.absolute(), console=console))
    except BenchError as error:
        console.print(f"error: {error}")
        raise typer.Exit(1) from error


async def _run(plan: Plan, targets: list[Target], *, output: Path, console: Console) -> None:
    path = output / time.strftime("bench-%Y%m%dT%H%M%S.jsonl")

    def heard(observation: Observation) -> None:
        with path.open("ab") as file:
            file.write(msgspec.json.encode(observation) + b"\n")
        measured = observation.measured
        console.print(
            f"round {observation.round + 1}  {observation.target:9}  {observation.cell.name:34}"
            f" {measured.per_second:>10,.0f}/s   p50 {measured.latency_ms(0.5):8.2f} ms"
            f"   p99 {measured.latency_ms(0.99):8.2f} ms"
        )

    with tempfile.TemporaryDirectory(prefix="bench-", dir=output) as directory:
        runner = Runner(plan, targets, directory=Path(directory), heard=heard, say=console.print)
        await runner.run()
    notes = [_environment(), *(note for target in targets for note in target.notes), f"observations: {path}"]
    console.print(tables(runner.observations, runner.footprints, notes))


if __name__ == "__main__":
    typer.run(main)
