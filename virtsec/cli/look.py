"""`virtsec list` and `info`."""

from typing import Annotated

import typer

from virtsec.cli.options import Json, Name, output_of
from virtsec.cli.session import open_host


def list_(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Those that do not run, too.")] = False,
    json: Json = False,
) -> None:
    """List containers that run, and how each is confined.

    Domains virtsec did not make are shown as 'foreign'; it never touches them.

    \b
    Example: virtsec list --all
    """
    from virtsec.cli import render, schema  # noqa: PLC0415  (slow imports)
    from virtsec.commands import listing  # noqa: PLC0415

    output = output_of(context, json)
    host = open_host(output)
    listed = listing.list_domains(host, all_=everything)
    document = schema.list_document(host.mac.enforcement(), listed)
    output.show(document, lambda: render.listed(output, listed))


def info(context: typer.Context, name: Name, json: Json = False) -> None:
    """Show all about one container.

    \b
    Example: virtsec info vs1
    """
    from virtsec.cli import render, schema  # noqa: PLC0415  (slow imports)
    from virtsec.commands import listing  # noqa: PLC0415

    output = output_of(context, json)
    host = open_host(output)
    found = listing.info(name, host)
    document = schema.info_document(host.mac.enforcement(), found)
    output.show(document, lambda: render.info(output, found))
