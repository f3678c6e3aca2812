"""`virtsec setup` and `protect`."""

from typing import TYPE_CHECKING, Annotated

import typer

from virtsec.cli.options import DryRun, Json, output_of
from virtsec.cli.output import Output
from virtsec.cli.session import open_host

if TYPE_CHECKING:
    from pathlib import Path

    from virtsec import SetupResult
    from virtsec.step import Step


def setup(
    context: typer.Context,
    remove: Annotated[
        bool, typer.Option("--remove", help="Undo exactly what setup did on this host.")
    ] = False,
    no_network: Annotated[
        bool,
        typer.Option("--no-network", help="Leave libvirt's network 'default' as it is."),
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make this host ready for containers.

    Loads the base policy, installs libvirt's hook and the controller, tells libvirt, and brings
    up libvirt's network 'default'. Run again, it changes nothing.

    \b
    Example: virtsec setup
    """
    from virtsec.commands.preparing import setup as set_up  # noqa: PLC0415  (slow imports)
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    host = open_host(output)

    def watch(_index: int, step: "Step") -> None:
        output.say(_line(step))

    done = set_up(host, remove=remove, network=not no_network, dry_run=dry_run, watch=watch)
    if dry_run:
        for step in done.steps:
            output.say(_line(step))
    for path in done.kept:
        output.warn(f"{path} stays: {_within(path)} in it.")
    output.show(as_json(done), lambda: _conclude(output, done))


def _within(path: "Path") -> str:
    """What keeps a directory: the first of it by name, and how many more."""
    try:
        first, *others = sorted(each.name for each in path.iterdir())
    except (OSError, ValueError):  # taken out meanwhile, all of it
        return "something was"
    return f"{first} and {len(others)} more are" if others else f"{first} is"


def protect(
    context: typer.Context,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit status 1 if something would be.")
    ] = False,
    json: Json = False,
) -> None:
    """Label again what of the host no container may read.

    Under Smack: the defaults and what /etc/virtsec/host-files.conf lists, a path a line, with a
    slash at its end for a directory and all in it; what is listed no longer is given back. A
    systemd unit does it whenever such a file is replaced. Under SELinux nothing is ever left to do.

    \b
    Example: virtsec protect --check
    """
    from virtsec.cli.schema import protect_document  # noqa: PLC0415  (slow imports)
    from virtsec.commands.preparing import protect as protect_host  # noqa: PLC0415

    output = output_of(context, json)
    host = open_host(output)
    paths = protect_host(host, check=check)

    def render() -> None:
        for path in paths:
            output.say(f"{path} {'is not' if check else 'is now'} kept from containers")
        if not paths:
            output.say("All that is to be kept from containers is.")

    output.show(protect_document(paths, check=check), render)
    if check and paths:
        raise typer.Exit(1)


def _line(step: "Step") -> str:
    return f"- {step.describe()}"


def _conclude(output: Output, done: "SetupResult") -> None:
    if done.dry_run:
        output.say("Nothing was changed." if done.steps else "There is nothing to do.")
    elif done.removed and done.steps:
        output.say(f"Nothing {'else ' if done.kept else ''}of virtsec is left here.")
    elif done.removed:
        output.say("There was nothing to undo.")
    else:
        output.say("This host is ready." if done.steps else "This host was ready; nothing changed.")
        output.say("Next: virtsec define vs1")
