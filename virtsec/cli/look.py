"""`virtsec list` and `info`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from virtsec.cli.options import Json, Name, output_of
from virtsec.cli.session import open_host

if TYPE_CHECKING:
    from virtsec.step import Host


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
    from virtsec.cli import render  # noqa: PLC0415  (slow imports)
    from virtsec.commands import listing  # noqa: PLC0415

    output = output_of(context, json)
    host = open_host(output)
    listed = listing.list_domains(host, all_=everything)

    def document() -> dict[str, Any]:
        from virtsec.cli import schema  # noqa: PLC0415  (slow imports)

        return schema.list_document(host.mac.enforcement(), listed)

    def render_all() -> None:
        render.listed(output, listed)
        if not listed:
            output.note(_why_none(host))

    output.show(document, render_all)


def _why_none(host: "Host") -> str:
    """What to do where no domain is to be shown."""
    from virtsec.commands.host import NOT_SET_UP, installed  # noqa: PLC0415  (slow imports)

    if not installed():
        return f"{NOT_SET_UP} Next: virtsec setup"
    if off := len(host.libvirt.domains()):
        return f"None runs; {off} {'is' if off == 1 else 'are'} shut off: virtsec list --all"
    return "There is no container yet. Next: virtsec define vs1"


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


def logs(  # noqa: PLR0917  (the options)
    context: typer.Context,
    name: Name,
    lines: Annotated[
        int | None, typer.Option("--lines", "-n", metavar="N", min=0, help="Only the last N lines.")
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option("--unit", "-u", metavar="UNIT", help="Only of this unit; repeatable."),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", "-S", metavar="TIME", help="Only since then; as journalctl takes it."
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", "-U", metavar="TIME", help="Only until then; as journalctl takes it."
        ),
    ] = None,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", metavar="FORMAT", help="How to show it; as journalctl takes it."
        ),
    ] = "short",
) -> int:
    """Show a container's journal.

    It is read from outside, as data, whether the container runs or not.

    \b
    Example: virtsec logs vs1 --unit nginx --lines 20
    """
    from virtsec import Query  # noqa: PLC0415  (slow imports)
    from virtsec.commands.entering import logs as read_logs  # noqa: PLC0415

    printed = output_of(context, False)
    query = Query(lines, tuple(unit or ()), since, until, output)
    left_out = read_logs(name, printed.pass_on, open_host(printed), query)
    if left_out:
        printed.warn(
            f"{left_out} older files of its journal are left out: they are too large to read."
        )
    return 0
