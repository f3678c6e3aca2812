"""`virtsec fleet plan`, `apply`, `destroy`, `diff`, `export` and `schema`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from virtsec.cli.helping import add, group
from virtsec.cli.options import Json, output_of
from virtsec.cli.session import open_host, watcher
from virtsec.errors import BadInput, Failed

app = group(
    """All containers of a host from one file.

    \b
    Example: virtsec fleet plan fleet.yaml
    """
)

_CHANGES = 2

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="A fleet file: YAML, or TOML where its name ends in .toml."
    ),
]
Detailed = Annotated[
    bool,
    typer.Option(
        "--detailed-exitcode",
        help="Exit status 2 where there is something to do, and 1 for a file that makes no sense.",
    ),
]


@contextmanager
def _told_apart(detailed: bool) -> Iterator[None]:
    """Have `_CHANGES` say nothing else: a file that makes no sense has failed then, as any error.

    A script that applies what differs would take it for that.
    """
    try:
        yield
    except BadInput as error:
        if not detailed:
            raise
        raise Failed(error.sentence, error.remedy) from error


def plan(
    context: typer.Context,
    file: File,
    prune: Annotated[
        bool, typer.Option("--prune", help="Plan to undefine containers that are not in it.")
    ] = False,
    detailed: Detailed = False,
    json: Json = False,
) -> int:
    """Show what would make this host's containers those that a file asks for.

    Nothing is changed. Domains that are not virtsec's are never part of it.

    \b
    Example: virtsec fleet plan fleet.yaml
    """
    from virtsec.cli import fleets  # noqa: PLC0415
    from virtsec.commands import fleet  # noqa: PLC0415  (slow imports)
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    with _told_apart(detailed):
        found = fleet.plan_fleet(file, open_host(output), prune=prune)
    output.show(as_json(found), lambda: fleets.planned(output, found))
    return _CHANGES if detailed and found.differences else 0


def apply(
    context: typer.Context,
    file: File,
    prune: Annotated[
        bool, typer.Option("--prune", help="Undefine containers that are not in it.")
    ] = False,
    parallel: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="How many trees to make at a time; by default as many as there are processors.",
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Make this host's containers those that a file asks for.

    What is there already stays; run again, or after it was interrupted, it goes on. Where one
    container fails the others are made all the same.

    \b
    Example: virtsec fleet apply fleet.yaml
    """
    from virtsec.cli import fleets  # noqa: PLC0415
    from virtsec.commands import fleet  # noqa: PLC0415  (slow imports)

    output = output_of(context, json)
    done = fleet.apply_fleet(
        file, open_host(output), prune=prune, parallel=parallel, watch=watcher(output)
    )
    return fleets.done(output, done)


def destroy(context: typer.Context, file: File, json: Json = False) -> int:
    """Undefine the containers of a file, with the trees that virtsec made; bases stay.

    Those that run stay as well.

    \b
    Example: virtsec fleet destroy fleet.yaml
    """
    from virtsec.cli import fleets  # noqa: PLC0415
    from virtsec.commands import fleet  # noqa: PLC0415  (slow imports)

    output = output_of(context, json)
    return fleets.done(output, fleet.destroy_fleet(file, open_host(output), watcher(output)))


def diff(context: typer.Context, file: File, detailed: Detailed = False, json: Json = False) -> int:
    """Show how this host differs from what a file asks for, as diff(1) has it.

    Left out are containers that the file does not name; nothing is shown where there is nothing.

    \b
    Example: virtsec fleet diff fleet.yaml
    """
    from virtsec.commands import fleet  # noqa: PLC0415  (slow imports)

    output = output_of(context, json)
    with _told_apart(detailed):
        found = fleet.diff_fleet(file, open_host(output))
    output.show({"diff": found}, lambda: output.pass_on(found))
    return _CHANGES if detailed and found else 0


def export(context: typer.Context, json: Json = False) -> None:
    """Print the file that would make the containers there are: its plan is empty.

    \b
    Example: virtsec fleet export >fleet.yaml
    """
    from virtsec.commands import fleet  # noqa: PLC0415  (slow imports)

    output = output_of(context, json)
    found = fleet.export_fleet(open_host(output))
    output.show(found, lambda: output.pass_on(fleet.fleet_text(found)))


def schema(context: typer.Context, json: Json = False) -> None:
    """Print the JSON schema of fleet files.

    \b
    Example: virtsec fleet schema >fleet.schema.json
    """
    from json import dumps  # noqa: PLC0415  (slow to import)

    from virtsec.commands.fleet import fleet_schema  # noqa: PLC0415  (slow imports)

    output = output_of(context, json)
    found = fleet_schema()
    output.show(found, lambda: output.pass_on(f"{dumps(found, indent=2)}\n"))


for command in (plan, apply, destroy, diff, export, schema):
    add(app, command)
