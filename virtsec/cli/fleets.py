"""Fleets for people: what there is to do, and when it is in force."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from virtsec import Action, Exposed, Link
from virtsec.cli.session import tell
from virtsec.commands.results import as_json

if TYPE_CHECKING:
    from virtsec import Change
    from virtsec.cli.output import Output
    from virtsec.commands.fleet import FleetPlan
    from virtsec.commands.rollout import Done, Outcomes

_PAST = {Action.MAKE: "Made", Action.CHANGE: "Changed", Action.REMOVE: "Removed"}
#: What a setting is called in a fleet's file, where it is not as in a specification.
_CALLED = {
    "apart_by": "confinement",
    "exposed": "expose",
    "memory_mib": "memory in MiB",
    "swap_mib": "swap in MiB",
}
_SIGNS = {Action.MAKE: "+", Action.CHANGE: "~", Action.REMOVE: "-"}


def planned(output: Output, plan: FleetPlan) -> None:
    """A line for each container, and one for each of its changes."""
    for each in plan.differences:
        kind = "" if each.kind == "container" else f" the {each.kind}"
        output.say(f"{_SIGNS[each.action]} {each.action}{kind} {each.name}")
        for link in each.spec.links if each.spec and each.action is Action.MAKE else ():
            output.say(f"    link to {link.to} at {link}")
        for change in each.changes:
            output.say(f"    {_change(change)}")
    counts = Counter(each.action for each in plan.differences)
    if not counts:
        output.say("Nothing to do.")
        return
    said = ", ".join(f"{counts[action]} to {action}" for action in Action if counts[action])
    output.say(f"{said}.")


def done(output: Output, outcomes: Outcomes) -> int:
    """What came of each; the status of the worst."""

    def render(one: Done) -> None:
        kind = "" if one.kind == "container" else f"the {one.kind} "
        output.say(f"{_PAST[one.action]} {kind}{one.name}.")

    status = tell(output, ((name, each) for (_, name), each in outcomes.items()), render)
    if not outcomes:
        output.say("Nothing to do.")
    return status


def _change(change: Change) -> str:
    before, after = (_shown(each) for each in (change.before, change.after))
    field = _CALLED.get(change.field, change.field.replace("_", "-"))
    return f"{field}: {before} -> {after} ({change.when})"


def _shown(value: object) -> str:
    if isinstance(value, Link):
        return f"{value.to} at {value}"
    if isinstance(value, Exposed):
        return str(value)
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value)) or "none"
    said = as_json(value)
    if isinstance(said, list):
        return f"[{', '.join(map(_shown, said))}]"
    if isinstance(said, dict):
        pairs = (
            f"{key} {_shown(item)}" for key, item in said.items() if item not in (None, [], "")
        )
        return f"({', '.join(pairs)})"
    return "none" if said in (None, "") else str(said)
