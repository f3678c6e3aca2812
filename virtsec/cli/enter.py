"""`virtsec exec` and `shell`: a command inside, confined as the container's init is."""

from typing import Annotated

import typer

from virtsec.cli.options import RunningName, output_of
from virtsec.cli.session import open_host

User = Annotated[
    str, typer.Option("--user", "-u", metavar="USER", help="A user known inside, or a number.")
]
Directory = Annotated[
    str | None,
    typer.Option("--workdir", "-w", metavar="DIR", help="Where to run it; else the user's home."),
]
Environment = Annotated[
    list[str] | None,
    typer.Option("--env", "-e", metavar="KEY=VALUE", help="Set a variable; may be repeated."),
]


def exec_(  # noqa: PLR0917  (the options)
    context: typer.Context,
    name: RunningName,
    command: Annotated[list[str], typer.Argument(metavar="COMMAND...", help="What to run.")],
    user: User = "root",
    workdir: Directory = None,
    env: Environment = None,
    tty: Annotated[
        bool | None,
        typer.Option(
            "--tty/--no-tty",
            "-t/-T",
            help="Give it a terminal; unless told otherwise, when ours is one.",
        ),
    ] = None,
) -> int:
    """Run a command inside a container, confined as all in it.

    Its exit status is the command's own: 128 + n when signal n killed it, 126 when it could not be
    run, 127 when there is no such program.

    \b
    Example: virtsec exec vs1 -- systemctl status
    """
    return _enter(context, name, command, user, workdir, env, tty)


def shell(
    context: typer.Context,
    name: RunningName,
    user: User = "root",
    workdir: Directory = None,
    env: Environment = None,
) -> int:
    """A login shell inside a container, confined as all in it.

    \b
    Example: virtsec shell vs1
    """
    return _enter(context, name, [], user, workdir, env, True)


def _enter(  # noqa: PLR0917  (the options)
    context: typer.Context,
    name: str,
    words: list[str],
    user: str,
    directory: str | None,
    env: list[str] | None,
    tty: bool | None,
) -> int:
    import os  # noqa: PLC0415

    from virtsec.commands.entering import target  # noqa: PLC0415  (slow imports)
    from virtsec.enter.door import Command, attach  # noqa: PLC0415
    from virtsec.errors import BadInput  # noqa: PLC0415

    for setting in env or []:
        if not setting.partition("=")[1] or setting.startswith("="):
            raise BadInput(f"{setting!r} sets no variable.", "Write it as KEY=VALUE.")
    terminal = os.isatty(0) and os.isatty(1) if tty is None else tty
    environment = dict(each.split("=", 1) for each in env or [])
    if terminal and "TERM" in os.environ:
        environment.setdefault("TERM", os.environ["TERM"])
    host = open_host(output_of(context, False))
    command = Command(words, user, directory, environment)
    return attach(target(name, host), command, terminal=terminal)
