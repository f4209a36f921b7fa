"""Arguments and options that several commands take, with one wording each."""

from pathlib import Path
from typing import Annotated

import typer

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="The key.", show_default=False)]
PrefixArgument = Annotated[
    str, typer.Argument(metavar="PREFIX", help="What the keys begin with; without it, every key.", show_default=False)
]
HexOption = Annotated[bool, typer.Option("--hex", help="Keys on the command line are hexadecimal, such as 00ff.")]
ExactOption = Annotated[
    bool, typer.Option("--exact/--prefix", help="PREFIX is a whole key, not the beginning of many. (default: prefix)")
]
ToOption = Annotated[
    str | None, typer.Option("--to", metavar="END", help="Up to END and without it, instead of by prefix.")
]
FromKeyOption = Annotated[bool, typer.Option("--from-key", help="PREFIX and every key behind it.")]
PreviousOption = Annotated[bool, typer.Option("--previous", help="Show what was there before, too.")]
LeaseOption = Annotated[
    int,
    typer.Option(
        "--lease", min=0, metavar="ID", help="The key ends with this lease. (default: none)", show_default=False
    ),
]
RevisionOption = Annotated[
    int,
    typer.Option(
        "--revision", min=0, metavar="N", help="As it was at this revision. (default: now)", show_default=False
    ),
]
SerializableOption = Annotated[
    bool, typer.Option("--serializable", help="Faster and without a leader, but perhaps old: ask any node.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
OutputFileOption = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to FILE instead.", dir_okay=False)
]

NewDataOption = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="Where the new cluster goes: missing or empty.", file_okay=False)
]
NewReplicasOption = Annotated[int, typer.Option("--replicas", min=1, metavar="N", help="How many it has.")]
NewRegionOption = Annotated[
    list[str] | None, typer.Option("--region", metavar="NAME", help="Its regions, dealt out in turn.")
]
NewHostOption = Annotated[
    str, typer.Option("--host", metavar="HOST", help="Where it is reached: this machine, or the one it is copied to.")
]
NewPortOption = Annotated[
    int | None,
    typer.Option(
        "--port",
        min=1024,
        max=65_000,
        metavar="N",
        help="Its first port; taken ones are left out. (default: the first free ones from 7400 on)",
    ),
]
