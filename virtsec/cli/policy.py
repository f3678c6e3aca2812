"""`virtsec policy show`, `policy diff` and `policy suggest`."""

from typing import Annotated

import typer

from virtsec.cli.helping import add, group
from virtsec.cli.options import Json, Name, output_of
from virtsec.cli.session import open_host

app = group(
    """Show a container's policy, and add what it lacks.

    \b
    Example: virtsec policy show vs1
    """
)


def show(context: typer.Context, name: Name, json: Json = False) -> None:
    """Show a container's policy as this host has it, with the reasons.

    \b
    Example: virtsec policy show vs1
    """
    from virtsec.commands import policies  # noqa: PLC0415  (slow imports)
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    shown = policies.show_policy(name, open_host(output))

    def render() -> None:
        for part in shown.parts:
            output.say(f"### {part.name}")
            output.say(part.text)

    output.show(as_json(shown), render)


def diff(context: typer.Context, name: Name, json: Json = False) -> int:
    """Compare a container's policy with what this version would install.

    Exit status 1 when it differs; `virtsec doctor --fix` puts this version's in its place.

    \b
    Example: virtsec policy diff vs1
    """
    from virtsec.commands import policies  # noqa: PLC0415  (slow imports)
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    compared = policies.diff_policy(name, open_host(output))
    output.show(as_json(compared), lambda: output.say(compared.diff or "It is this version's."))
    return 0 if compared.same else 1


def suggest(
    context: typer.Context,
    name: Name,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            "-S",
            metavar="TIME",
            help="Only what was refused since then, such as 2026-11-26 12:30, or 12:30 today.",
        ),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Add what breaks no promise, now and for good.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what was refused a container, and what would allow it.

    What would break a promise that `virtsec verify` tests is told, and never added.

    \b
    Example: virtsec policy suggest vs1 --since 12:30
    """
    from virtsec import words  # noqa: PLC0415  (slow imports)
    from virtsec.cli import suggestions  # noqa: PLC0415  (slow imports)
    from virtsec.commands import suggesting  # noqa: PLC0415
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    when = None if since is None else words.moment(since)
    found = suggesting.suggest_policy(name, open_host(output), when, apply=apply)
    output.show(as_json(found), lambda: suggestions.show(output, found))


for command in (show, diff, suggest):
    add(app, command)
