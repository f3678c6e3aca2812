"""`virtsec exec`, `shell` and `cp`: into a container, confined as its init is."""

from typing import Annotated

import typer

from virtsec.cli.options import Json, RunningName, output_of
from virtsec.cli.session import open_host
from virtsec.errors import BadInput

User = Annotated[
    str, typer.Option("--user", "-u", metavar="USER", help="A user known inside, or a number.")
]
Directory = Annotated[
    str | None,
    typer.Option("--workdir", "-w", metavar="DIR", help="Where to run it; else the user's home."),
]
Environment = Annotated[
    list[str] | None,
    typer.Option("--env", "-e", metavar="KEY=VALUE", help="Set a variable; repeatable."),
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

    Without a terminal here it has none there, and reads commands until its input ends. Its exit
    status is the shell's own.

    \b
    Example: virtsec shell vs1
    """
    return _enter(context, name, [], user, workdir, env, None)


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

    from virtsec import Command, attach  # noqa: PLC0415  (slow imports)

    for setting in env or []:
        if not setting.partition("=")[1] or setting.startswith("="):
            raise BadInput(f"{setting!r} sets no variable.", "Write it as KEY=VALUE.")
    terminal = os.isatty(0) and os.isatty(1) if tty is None else tty
    environment = dict(each.split("=", 1) for each in env or [])
    if terminal and "TERM" in os.environ:
        environment.setdefault("TERM", os.environ["TERM"])
    host = open_host(output_of(context, False))
    command = Command(words, user, directory, environment)
    return attach(name, command, host, terminal=terminal)


def cp(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A path here, or NAME:PATH in a container.")
    ],
    destination: Annotated[
        str, typer.Argument(metavar="DESTINATION", help="A path here, or NAME:PATH in a container.")
    ],
    user: Annotated[
        str, typer.Option("--user", "-u", metavar="USER", help="Who reads or writes inside.")
    ] = "root",
    json: Json = False,
) -> int:
    """Copy files into a container or out of it.

    Into a directory that is there, else under the new name; of DIR/. only the contents. What comes
    out belongs to root. Paths inside are found inside.

    \b
    Example: virtsec cp vs1:/var/log/nginx .
    """
    from pathlib import Path  # noqa: PLC0415

    from virtsec.commands.entering import copy_in, copy_out  # noqa: PLC0415  (slow imports)
    from virtsec.words import inside  # noqa: PLC0415

    output = output_of(context, json)
    from_inside, to_inside = inside(source), inside(destination)
    if (from_inside is None) == (to_inside is None):
        raise BadInput(
            "One of the two paths has to be a container's, and only one.",
            "Write that as NAME:PATH, and a path of the host with a colon in it as ./PATH.",
        )
    host = open_host(output)
    if from_inside is not None:
        copy_out(*from_inside, Path(destination), host, user)
    elif to_inside is not None:
        copy_in(to_inside[0], Path(source), to_inside[1], host, user)
    output.show(
        {"source": source, "destination": destination},
        lambda: output.say(f"Copied {source} to {destination}."),
    )
    return 0
