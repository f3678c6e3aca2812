"""What `audit` shows: to people, as a picture, and as a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from virtsec.cli import table
from virtsec.cli.output import Output, clean, counted
from virtsec.errors import BadInput, Failed

if TYPE_CHECKING:
    from virtsec import Audited

_KINDS = {".svg": "picture", ".html": "page"}


def check_output(path: Path) -> None:
    """Raise `BadInput` when it cannot be told from the name what to write."""
    if path.suffix not in _KINDS:
        raise BadInput(
            f"{path} ends neither in .svg nor in .html.", "Let its name say which it is to be."
        )


def write(path: Path, audited: Audited) -> None:
    """The picture or the page. Raises `Failed` when it cannot be written."""
    from virtsec.commands.auditing import audit_page, audit_picture  # noqa: PLC0415  (slow imports)

    text = audit_picture(audited) if path.suffix == ".svg" else audit_page(audited)
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        kind = _KINDS[path.suffix]
        raise Failed(
            f"The {kind} could not be written to {path}: {error.strerror}.", "Name another file."
        ) from error


def show(output: Output, audited: Audited, *, matrix: bool) -> None:
    """Tables: what of the host each may reach, each other, and what was found."""
    output.say(f"Of {audited.host_labels} labels on this host, those whose files a container may")
    counts = [
        (each.name, *(str(len(labels)) for labels in (each.read, each.write, each.execute)))
        for each in audited.containers
    ]
    table.show(output, ("", "read", "write", "execute"), counts)
    output.say()
    if matrix:
        output.say("Who may reach whom (row reaches column):")
        _matrix(output, audited)
        output.say()
    for each in audited.open:
        by = clean(", ".join(each.by))
        output.say(f"OPEN  {each.source} reaches {each.target} by {each.channel.value}: {by}")
    for linked in audited.links:
        output.say(f"link  {linked.source} may ask {linked.target} at {linked}, as it was told to")
    for shared in audited.shared:
        mark = "kept" if shared.kept else "OPEN"
        why = shared.kept or "nothing is known to keep data from passing"
        output.say(f"{mark}  {shared.through}, written by some and read by others: {why}")
    for finding in audited.findings:
        output.say(f"WRONG {clean(finding.subject)}: {clean(finding.sentence)}")
        output.say(f"      {clean(finding.remedy)}")
    output.say()
    output.say(_sum(audited))


def _sum(audited: Audited) -> str:
    state = f"{audited.model}, {audited.enforcement.value}"
    if audited.sound:
        return f"{audited.promise()} ({state})."
    ways = len(audited.open) + sum(not each.kept for each in audited.shared)
    open_ways = counted(ways, "way is open", "ways are open")
    wrong = counted(len(audited.findings), "thing is wrong", "things are wrong")
    return f"{open_ways}, {wrong} ({state})."


def _matrix(output: Output, audited: Audited) -> None:
    names = [each.name for each in audited.containers]
    rows = [
        (
            source,
            *("own" if source == target else audited.between(source, target) for target in names),
        )
        for source in names
    ]
    table.show(output, ("", *names), rows)
