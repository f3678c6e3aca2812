"""`virtsec base create`, `refresh`, `list`, `info` and `remove`."""

from typing import Annotated

import typer

from virtsec.cli.complete import bases
from virtsec.cli.helping import add, group
from virtsec.cli.options import Json, output_of
from virtsec.cli.session import open_host, watcher

app = group(
    """Trees that containers share, each with a layer of its own.

    \b
    Example: virtsec base create web --from /srv/images/debian.tar
    """
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

    output = output_of(context, json)
    made = bases.create_base(name, source, open_host(output), watcher(output))
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

    output = output_of(context, json)
    made = bases.refresh_base(name, source, open_host(output), watcher(output))
    output.show(as_json(made), lambda: output.say(f"{name} has the generation {made.generation}."))


def list_(context: typer.Context, json: Json = False) -> None:
    """List bases, with what each takes and who is on it.

    \b
    Example: virtsec base list
    """
    from virtsec.commands import bases  # noqa: PLC0415  (slow imports)
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    found = bases.list_bases()

    def render() -> None:
        if not found:
            output.say("There is no base yet. Next: virtsec base create NAME --from TAR")
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

    output = output_of(context, json)
    found = bases.describe_base(name)

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
    removed = bases.remove_base(name, open_host(output), watcher(output))
    output.show(as_json(removed), lambda: output.say(f"{name} is gone."))


for command in (create, refresh, list_, info, remove):
    add(app, command)
