"""Every command by its name, in the order `virtsec --help` shows them.

`virtsec --help` and the shell's completion must be quick. So commands import what they need when
they run, and their modules do not postpone annotations, which typer would compile one by one.
"""

from collections.abc import Sequence
from copy import copy
from typing import Annotated

import typer

from virtsec import __version__
from virtsec.cli import (
    adoption,
    bases,
    connect,
    copies,
    enter,
    fleet,
    look,
    make,
    policy,
    power,
    proof,
    ready,
)
from virtsec.cli.helping import Group, add
from virtsec.cli.options import Json, output_of

# Plain help: rich would take longer to import than everything else together.
app = typer.Typer(
    cls=Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def start_here(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Which virtsec this is.", is_eager=True)
    ] = False,
    json: Json = False,
) -> None:
    """Linux containers on libvirt, confined by SELinux or Smack.

    \b
    virtsec setup       prepare this host
    virtsec define vs1  make a container
    virtsec start vs1   and start it
    """
    output = output_of(context, json)
    if version:
        output.show({"version": __version__}, lambda: output.say(f"virtsec {__version__}"))
        raise typer.Exit
    if context.invoked_subcommand is None:
        from virtsec.commands.host import NOT_SET_UP, installed  # noqa: PLC0415  (slow to import)

        ready_now = installed()
        following = "virtsec define vs1" if ready_now else "virtsec setup"

        def render() -> None:
            if not ready_now:
                output.say(NOT_SET_UP)
            output.say(f"Next: {following}")
            output.say()
            output.say(context.get_help())

        output.show({"installed": ready_now, "next": following}, render)


for command in (
    ready.setup,
    ready.protect,
    make.define,
    power.start,
    power.shutdown,
    power.reboot,
    power.destroy,
    look.list_,
    look.info,
    look.logs,
    enter.exec_,
    enter.shell,
    enter.cp,
    connect.link,
    connect.unlink,
    connect.links,
    proof.verify,
    proof.audit,
    proof.doctor,
    power.console,
    make.set_,
    make.label,
    copies.clone,
    copies.rename,
    copies.export,
    copies.import_,
    adoption.adopt,
    adoption.release,
    make.undefine,
):
    add(app, command)
app.add_typer(bases.app, name="base")
app.add_typer(fleet.app, name="fleet")
app.add_typer(policy.app, name="policy")


def app_for(words: Sequence[str]) -> typer.Typer:
    """The app, for these words: with the command alone that they name, if there is one.

    typer builds each command before it runs one, which takes longer than what most of them do.
    """
    name = next((word for word in words if not word.startswith("-")), None)
    commands = [each for each in app.registered_commands if each.name == name]
    groups = [each for each in app.registered_groups if each.name == name]
    if not commands and not groups:
        return app
    alone = copy(app)
    alone.registered_commands, alone.registered_groups = commands, groups
    return alone
