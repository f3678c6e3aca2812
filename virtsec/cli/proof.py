"""`virtsec verify`: does the confinement hold?"""

from pathlib import Path
from typing import Annotated

import typer

from virtsec.cli.complete import running
from virtsec.cli.options import Json, output_of
from virtsec.cli.session import open_host
from virtsec.errors import BadInput


def verify(  # noqa: PLR0917  (the options)
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", hidden=True, autocompletion=running),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every container that runs.")] = False,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="NAME",
            help="Another that runs, to attack from the first.",
            autocompletion=running,
        ),
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="Only print the attacks.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ID", help="Only this attack; repeatable.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.html", help="Write a page of it, too.")
    ] = None,
    json: Json = False,
) -> int:
    """Attack containers from inside, and show whether all is refused.

    Only decoys are attacked, which end with this command. Exit status 0 only when all held.

    \b
    Example: virtsec verify vs1 --against vs2
    """  # fmt: skip
    from virtsec.cli import proofs  # noqa: PLC0415  (slow imports)
    from virtsec.commands import verifying  # noqa: PLC0415

    output = output_of(context, json)
    if list_them:
        probes = verifying.listed(only or ())
        output.show(proofs.probes_document(probes), lambda: proofs.listed(output, probes))
        return 0
    host = open_host(output)
    wanted = proofs.running_containers(host) if everything else list(dict.fromkeys(names or []))
    if not wanted:
        raise BadInput(
            "No container runs." if everything else "Which container is to be verified?",
            "Name one that runs, or start one: `virtsec start NAME`.",
        )
    done = proofs.verify_each(output, host, wanted, against, only or ())
    if report is not None and done.verified:
        proofs.write_report(report, done.verified)
    return done.status
