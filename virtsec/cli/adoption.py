"""`virtsec adopt` and `release`."""

from typing import Annotated

import typer

from virtsec.cli.complete import containers
from virtsec.cli.options import DryRun, Json, output_of
from virtsec.cli.session import open_host, watcher

Domain = Annotated[
    str, typer.Argument(metavar="NAME", help="It must not run.", autocompletion=containers)
]


def adopt(
    context: typer.Context, name: Domain, dry_run: DryRun = False, json: Json = False
) -> None:
    """Confine a domain that virsh, virt-install or virt-manager made.

    What its definition has beside that stays, and its files get labels; `virtsec release` gives
    both back. One whose root is the host's root is so still, see `virtsec set --unprivileged`.

    \b
    Example: virtsec adopt web --dry-run
    """
    from virtsec.commands import adopting  # noqa: PLC0415  (slow imports)
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    adopted = adopting.adopt(name, open_host(output), dry_run=dry_run, watch=watcher(output))

    def render() -> None:
        for line in adopted.diff.splitlines():
            output.say(line)
        output.say(f"All of {adopted.rootfs} is labelled {adopted.label.file}.")
        if dry_run:
            output.say("Nothing was changed.")
        else:
            output.say(f"{name} is confined, {adopted.kind}. Next: virtsec start {name}")

    output.show(as_json(adopted), render)


def release(context: typer.Context, name: Domain, json: Json = False) -> None:
    """Give a domain back as it was before it was adopted.

    Its files have the labels they had. Its links are gone then, and nothing confines it any more.

    \b
    Example: virtsec release web
    """
    from virtsec.commands import adopting  # noqa: PLC0415  (slow imports)
    from virtsec.commands.results import as_json  # noqa: PLC0415

    output = output_of(context, json)
    released = adopting.release(name, open_host(output), watcher(output))
    output.show(
        as_json(released), lambda: output.say(f"{name} is as it was, and no longer virtsec's.")
    )
