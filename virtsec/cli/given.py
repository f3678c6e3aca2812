"""`virtsec define --from-xml`: a container of the definition of a domain."""

from __future__ import annotations

from pathlib import Path

import typer

from virtsec.cli import render
from virtsec.cli.output import Output
from virtsec.cli.session import open_host, watcher
from virtsec.commands import definition
from virtsec.commands.results import Planned, as_json
from virtsec.errors import BadInput

#: What libvirt takes at most (REMOTE_STRING_MAX).
MOST_BYTES = 4 << 20
#: Parameters of `define` that say nothing of what the container is to be, but for its name.
_BESIDE = {"name", "from_xml", "dry_run", "json"}


def check_alone(context: typer.Context) -> None:
    """Raise `BadInput` for an option that would be told twice: the definition says all."""
    for each in context.command.params:
        given = context.get_parameter_source(each.name or "")
        if each.name not in _BESIDE and given is not None and given.name == "COMMANDLINE":
            raise BadInput(
                f"With --from-xml the definition says all; {each.opts[0]} has no place beside it.",
                "Leave it out; what the definition lacks is put into it, or set afterwards.",
            )


def from_definition(output: Output, path: Path, name: str | None, *, dry_run: bool) -> None:
    """Make a container of the definition in a file."""
    text = _read(path)
    host = open_host(output)
    if dry_run:
        planned = Planned.of(definition.plan_from_xml(text, host, name))
        output.show(as_json(planned), lambda: render.planned(output, planned))
    else:
        defined = definition.define_from_xml(text, host, name, watcher(output))
        output.show(as_json(defined), lambda: render.defined(output, defined))


def _read(path: Path) -> str:
    remedy = "Name a file with the definition of a domain, as `virsh dumpxml` writes it."
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST_BYTES + 1)  # of what has no end, no more
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {error}.", remedy) from None
    if len(text.encode()) > MOST_BYTES:
        raise BadInput(f"{path} is too long: libvirt takes {MOST_BYTES} bytes at most.", remedy)
    return text
