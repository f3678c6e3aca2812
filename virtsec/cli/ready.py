"""`virtsec setup`."""

from typing import TYPE_CHECKING, Annotated

import typer

from virtsec.cli.options import DryRun, Json, output_of
from virtsec.cli.output import Output
from virtsec.cli.session import open_host

if TYPE_CHECKING:
    from virtsec.host.setup import SetupResult
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
    from virtsec.cli.schema import setup_document  # noqa: PLC0415  (slow imports)
    from virtsec.host.setup import setup as set_up  # noqa: PLC0415

    output = output_of(context, json)
    host = open_host(output)

    def watch(_index: int, step: "Step") -> None:
        output.say(_line(step))

    done = set_up(host, remove=remove, network=not no_network, dry_run=dry_run, watch=watch)
    if dry_run:
        for step in done.steps:
            output.say(_line(step))
    for path in done.kept:
        output.warn(f"{path} stays: something is in it.")
    output.show(setup_document(done), lambda: _conclude(output, done))


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
