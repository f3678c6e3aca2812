"""`virtsec link`, `unlink` and `links`: who may ask whom."""

from typing import Annotated

import typer

from virtsec.cli.complete import containers
from virtsec.cli.options import Json, Name, output_of
from virtsec.cli.session import open_host

Other = Annotated[
    str,
    typer.Argument(
        metavar="OTHER", help="The container that it may ask.", autocompletion=containers
    ),
]


def link(
    context: typer.Context,
    name: Name,
    other: Other,
    ports: Annotated[
        list[str],
        typer.Option(
            "--port", "-p", metavar="PORT/tcp|udp", help="A port that OTHER listens on; repeatable."
        ),
    ],
    json: Json = False,
) -> None:
    """Let a container open connections to a port of another one.

    NAME asks, and OTHER answers; OTHER may ask for nothing, and nothing else of both opens. Without
    a link no container may send another one anything. It holds from now on.

    \b
    Example: virtsec link web db --port 5432/tcp
    """
    from virtsec import words  # noqa: PLC0415  (slow imports)
    from virtsec.commands import linking  # noqa: PLC0415
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    wanted = [words.link(other, each) for each in ports]
    linked = linking.link(name, wanted, open_host(output))

    def render() -> None:
        for each in wanted:
            output.say(f"{name} may ask {other} at {each}, and {other} may answer.")

    output.show(as_json(linked), render)


def unlink(
    context: typer.Context,
    name: Name,
    other: Other,
    ports: Annotated[
        list[str] | None,
        typer.Option("--port", "-p", metavar="PORT/tcp|udp", help="Only this one; repeatable."),
    ] = None,
    json: Json = False,
) -> None:
    """Take back what `virtsec link` gave.

    All that NAME may ask OTHER for where no port is named. It holds from now on.

    \b
    Example: virtsec unlink web db
    """
    from virtsec import words  # noqa: PLC0415  (slow imports)
    from virtsec.commands import linking  # noqa: PLC0415
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    gone = [words.link(other, each) for each in ports or ()]
    left = linking.unlink(name, other, gone, open_host(output))

    def render() -> None:
        still = ", ".join(str(each) for each in left.links if each.to == other)
        output.say(f"{name} may ask {other} for {still or 'nothing'} now.")

    output.show(as_json(left), render)


def links(context: typer.Context, json: Json = False) -> None:
    """Show which containers may ask which others.

    \b
    Example: virtsec links
    """
    from virtsec.commands import linking  # noqa: PLC0415  (slow imports)
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    found = linking.links(open_host(output))

    def render() -> None:
        for linked in found:
            for each in linked.links:
                output.say(f"{linked.name} -> {each.to}  {each}")
        if not found:
            output.say("No container may ask another one for anything.")

    output.show({"links": [as_json(each) for each in found]}, render)
