"""`virtsec verify`, `audit`, `doctor`: does it hold, what is allowed, is all as it must be?"""

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
            help="Another that runs, to attack from each; without it each of several attacks the "
            "one before it.",
            autocompletion=running,
        ),
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="Only list the attacks.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ID", help="Only this attack; repeatable.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE.html", help="Write a page for auditors, too."),
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
        probes = verifying.list_attacks(only or ())
        output.show(proofs.probes_document(probes), lambda: proofs.listed(output, probes))
        return 0
    if everything and names:
        raise BadInput("Names and --all say two things.", "Give one of both.")
    host = open_host(output)
    wanted = proofs.running_containers(host) if everything else list(dict.fromkeys(names or []))
    if not wanted:
        raise BadInput(
            "No container runs." if everything else "Which container is to be verified?",
            "Name one that runs, or start one: `virtsec start NAME`.",
        )
    return proofs.verify_each(output, host, wanted, against, only or (), report=report)


def audit(
    context: typer.Context,
    matrix: Annotated[
        bool, typer.Option("--matrix", help="Show for each pair of containers what is open.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE.svg|FILE.html",
            help="Draw who reaches whom, or write a page on it.",
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Show what the policy lets containers reach.

    Of the host's files and of each other, by the policy in force, whatever else would refuse it;
    nothing is run in them, as `virtsec verify` does. Exit status 0 only when none may reach
    another and nothing was found that is not as virtsec made it.

    \b
    Example: virtsec audit --matrix
    """
    from virtsec.cli import audits  # noqa: PLC0415  (slow imports)
    from virtsec.commands import auditing  # noqa: PLC0415
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    if to is not None:
        audits.check_output(to)
    found = auditing.audit(open_host(output))
    if to is not None:
        audits.write(to, found)
    output.show(as_json(found), lambda: audits.show(output, found, matrix=matrix))
    return 0 if found.sound else 1


def doctor(
    context: typer.Context,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended without harm.")
    ] = False,
    json: Json = False,
) -> int:
    """Look for what is wrong with this host and its containers.

    Each fault comes with its remedy. Exit status 0 only when nothing is left wrong.

    \b
    Example: virtsec doctor --fix
    """
    from virtsec.cli import proofs  # noqa: PLC0415  (slow imports)
    from virtsec.commands import doctoring  # noqa: PLC0415
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    found = doctoring.doctor(lambda: open_host(output), fix=fix)
    output.show(as_json(found), lambda: proofs.diagnosed(output, found))
    return 0 if found.healthy else 1
