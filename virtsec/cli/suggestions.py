"""What `policy suggest` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtsec.cli.output import Output, clean, counted

if TYPE_CHECKING:
    from virtsec import Weighed
    from virtsec.commands.suggesting import Suggested


def show(output: Output, found: Suggested) -> None:
    """Each addition with its risk; then what is never added, and why."""
    if not found.suggestions and not found.never:
        output.say(f"Nothing was refused {found.name} that its policy does not know.")
        return
    for each in found.suggestions:
        output.say(f"{'ADDED' if found.applied else 'COULD BE ADDED'}  {_rule(each)}")
        _reasons(output, each)
    for each in found.never:
        output.say(f"NEVER  {_rule(each)}")
        _reasons(output, each)
        output.say(f"  {clean(each.breaks)} {clean(each.instead)}")
    if found.suggestions and not found.applied:
        output.say(f"`virtsec policy suggest {found.name} --apply` adds it.")


def _rule(each: Weighed) -> str:
    words = (each.addition.object, each.addition.kind, " ".join(each.addition.access))
    return clean(" ".join(filter(None, words)))


def _reasons(output: Output, each: Weighed) -> None:
    by = f" by {', '.join(each.programs)}" if each.programs else ""
    of = f": {', '.join(each.things)}" if each.things else ""
    output.say(f"  refused {counted(each.times, 'time', 'times')}{clean(by)}{clean(of)}")
    output.say(f"  {clean(each.risk)}")
