"""`virtsec base create`, `refresh`, `list`, `info` and `remove`."""

from typing import Annotated

import typer

from virtsec.cli.complete import bases
from virtsec.cli.interrupt import interruptible
from virtsec.cli.options import Json, output_of
from virtsec.cli.session import open_host, watcher

app = typer.Typer(
    rich_markup_mode=None,
    no_args_is_help=True,
    help="""Trees that containers share, each with a layer of its own.

    \b
    Example: virtsec base create web --from /srv/images/debian.tar
    """,
)

BaseName = Annotated[
    str, typer.Argument(metavar="BASE", help="A base's name.", autocompletion=bases)
]
Source = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="TREE|TAR|debian:SUITE",
        help="What to make it from; a Debian of this host's release by default.",
    ),
]


def create(
    context: typer.Context, name: BaseName, source: Source = None, json: Json = False
) -> None:
    """Make a tree that any number of containers may be on, see `virtsec define --base`.

    It is kept once. No container can change it; what each writes is its own.

    \b
    Example: virtsec base create web --from /srv/images/debian.tar
    """
    from virtsec.commands import bases  # noqa: PLC0415  (slow imports)
    from virtsec.commands.results import as_json  # noqa: PLC0415
    from virtsec.rootfs.debian import default  # noqa: PLC0415

    output = output_of(context, json)
    made = bases.create(name, source or default(), open_host(output), watcher(output))
    output.show(
        as_json(made),
        lambda: output.say(f"{name} is there.\nNext: virtsec define vs1 --base {name}"),
    )


def refresh(
    context: typer.Context, name: BaseName, source: Source = None, json: Json = False
) -> None:
    """Make another generation of a base, for containers that are defined from now on.

    Those on earlier generations stay on them; one that nobody is on is removed.

    \b
    Example: virtsec base refresh web --from /srv/images/debian-13.3.tar
    """
    from virtsec.commands import bases  # noqa: PLC0415  (slow imports)
    from virtsec.commands.results import as_json  # noqa: PLC0415
    from virtsec.rootfs.debian import default  # noqa: PLC0415

    output = output_of(context, json)
    made = bases.refresh(name, source or default(), open_host(output), watcher(output))
    output.show(as_json(made), lambda: output.say(f"{name} has the generation {made.generation}."))


def list_(context: typer.Context, json: Json = False) -> None:
    """List bases, with what each takes and who is on it.

    \b
    Example: virtsec base list
    """
    from virtsec.commands import bases  # noqa: PLC0415  (slow imports)
    from virtsec.commands.results import as_json  # noqa: PLC0415
    from virtsec.kernel.privilege import need_root  # noqa: PLC0415

    output = output_of(context, json)
    need_root()
    found = [bases.describe(name) for name in bases.names()]

    def render() -> None:
        for each in found:
            size = sum(generation.size for generation in each.generations)
            users = sum(len(generation.users) for generation in each.generations)
            output.say(f"{each.name}  {size >> 20} MiB, containers on it: {users}")

    output.show({"bases": [as_json(each) for each in found]}, render)


def info(context: typer.Context, name: BaseName, json: Json = False) -> None:
    """Show the generations of a base, who is on each, and what their own layers take.

    \b
    Example: virtsec base info web
    """
    from virtsec.commands import bases  # noqa: PLC0415  (slow imports)
    from virtsec.commands.results import as_json  # noqa: PLC0415
    from virtsec.kernel.privilege import need_root  # noqa: PLC0415

    output = output_of(context, json)
    need_root()
    found = bases.describe(name)

    def render() -> None:
        for each in found.generations:
            output.say(f"generation {each.number}  {each.size >> 20} MiB  {each.tree}")
            for user in each.users:
                output.say(f"  {user.name}  {user.size >> 20} MiB of its own")

    output.show(as_json(found), render)


def remove(context: typer.Context, name: BaseName, json: Json = False) -> None:
    """Remove a base that no container is on.

    \b
    Example: virtsec base remove web
    """
    from virtsec.commands import bases  # noqa: PLC0415  (slow imports)
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    removed = bases.remove(name, open_host(output), watcher(output))
    output.show(as_json(removed), lambda: output.say(f"{name} is gone."))


for command in (create, refresh, list_, info, remove):
    app.command(name=command.__name__.rstrip("_"))(interruptible(command))
