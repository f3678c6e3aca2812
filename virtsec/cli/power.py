"""`virtsec start`, `shutdown`, `reboot`, `destroy` and `console`: virsh's words and meanings."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from virtsec.cli.options import (
    InactiveNames,
    Json,
    RunningName,
    RunningNames,
    output_of,
)
from virtsec.cli.session import each, open_host

if TYPE_CHECKING:
    from virtsec.commands.results import Acted, Started


def start(
    context: typer.Context,
    names: InactiveNames,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="First move those on a base to its newest generation; what they changed stays.",
        ),
    ] = False,
    json: Json = False,
) -> int:
    """Start containers.

    \b
    Example: virtsec start vs1 vs2
    """
    from virtsec.commands import lifecycle  # noqa: PLC0415  (slow imports)
    from virtsec.commands.host import check_ready  # noqa: PLC0415

    output = output_of(context, json)
    host = open_host(output)
    check_ready(host)

    def render(started: "Started") -> None:
        output.say(f"Started {started.name} as {started.label}.")
        output.say(f"Next: virtsec shell {started.name}, or virtsec info {started.name}")

    return each(output, names, lambda name: lifecycle.start(name, host, follow=follow), render)


def shutdown(
    context: typer.Context,
    names: RunningNames,
    wait: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Wait until it is off, for so long at most."),
    ] = None,
    json: Json = False,
) -> int:
    """Ask containers to shut down.

    Each stops when its init is done.

    \b
    Example: virtsec shutdown vs1
    """
    from virtsec.commands import lifecycle  # noqa: PLC0415  (slow imports)

    output = output_of(context, json)
    host = open_host(output)

    def render(acted: "Acted") -> None:
        output.say(f"Asked {acted.name} to shut down; it is {acted.state}.")

    return each(output, names, lambda name: lifecycle.shutdown(name, host, wait), render)


def reboot(context: typer.Context, names: RunningNames, json: Json = False) -> int:
    """Ask containers to shut down and start again.

    \b
    Example: virtsec reboot vs1
    """
    from virtsec.commands import lifecycle  # noqa: PLC0415  (slow imports)

    output = output_of(context, json)
    host = open_host(output)

    def render(acted: "Acted") -> None:
        output.say(f"Asked {acted.name} to reboot.")

    return each(output, names, lambda name: lifecycle.reboot(name, host), render)


def destroy(context: typer.Context, names: RunningNames, json: Json = False) -> int:
    """Stop containers now, without asking them; their files stay.

    \b
    Example: virtsec destroy vs1
    """
    from virtsec.commands import lifecycle  # noqa: PLC0415  (slow imports)

    output = output_of(context, json)
    host = open_host(output)

    def render(acted: "Acted") -> None:
        output.say(f"Stopped {acted.name}; it is {acted.state}.")

    return each(output, names, lambda name: lifecycle.destroy(name, host), render)


def console(context: typer.Context, name: RunningName) -> None:
    """Attach to a container's console, by virsh; Ctrl-] leaves.

    Its exit status is virsh's.

    \b
    Example: virtsec console vs1
    """
    from virtsec.commands.entering import console as command_of  # noqa: PLC0415  (slow imports)
    from virtsec.errors import HostNotReady  # noqa: PLC0415

    words = command_of(name, open_host(output_of(context, False)))
    environment = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    try:
        os.execve(words[0], words, environment)  # noqa: S606
    except FileNotFoundError:
        raise HostNotReady(
            "virsh, whose console this is, is not installed.", "Run `apt install libvirt-clients`."
        ) from None
