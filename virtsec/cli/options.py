"""Arguments and options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from virtsec.cli.complete import containers, inactive, networks, running
from virtsec.cli.output import Output

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what would be done.")]
Name = Annotated[str, typer.Argument(metavar="NAME", hidden=True, autocompletion=containers)]
Names = Annotated[
    list[str], typer.Argument(metavar="NAME...", hidden=True, autocompletion=containers)
]
RunningName = Annotated[str, typer.Argument(metavar="NAME", hidden=True, autocompletion=running)]
RunningNames = Annotated[
    list[str], typer.Argument(metavar="NAME...", hidden=True, autocompletion=running)
]
InactiveNames = Annotated[
    list[str], typer.Argument(metavar="NAME...", hidden=True, autocompletion=inactive)
]
CpuShares = Annotated[
    int | None,
    typer.Option(
        "--cpu-shares",
        metavar="N",
        help="Its share of processors that are scarce, against 100 of others.",
    ),
]
IoWeight = Annotated[
    int | None,
    typer.Option(
        "--io-weight", metavar="N", help="Its share of block devices, against 100 of others."
    ),
]
Inotify = Annotated[
    int | None,
    typer.Option(
        "--inotify", metavar="N", help="Instances of inotify, with 128 watches each; 64 by default."
    ),
]
Files = Annotated[
    int | None,
    typer.Option("--files", metavar="N", help="Files that one process may have open."),
]
NetworkName = Annotated[
    str | None,
    typer.Option(
        "--network",
        metavar="NET",
        help="One of libvirt's networks; 'default' unless told otherwise.",
        autocompletion=networks,
    ),
]


def output_of(context: typer.Context, json: bool) -> Output:
    """The run's output, told of a command's own `--json`."""
    output = context.ensure_object(Output)
    output.json = output.json or json
    return output
