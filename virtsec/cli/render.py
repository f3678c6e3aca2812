"""Results for people: tables, and what was made and what to do next."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from virtsec.cli import table
from virtsec.cli.output import Output, clean
from virtsec.spec import Base, Egress, IdRange, Limits, Mount, Network, NetworkKind

if TYPE_CHECKING:
    from virtsec.commands.kinds import Shifted
    from virtsec.commands.limiting import Limited
    from virtsec.commands.reaching import Reached
    from virtsec.commands.results import Defined, Info, Listed, Planned


def defined(output: Output, made: Defined) -> None:
    """What `define` made, and the next command."""
    output.say(f"Defined {made.name}, {made.kind}, with its root in {made.rootfs}.")
    output.say(f"It will run as {made.label.process}{_as_ids(made.ids)}.")
    for directory in made.unlabelled:
        output.say(f"{directory} keeps its labels: for use there, label files {made.label.file}.")
    output.say(f"Next: virtsec start {made.name}")


def planned(output: Output, plan: Planned) -> None:
    """The steps `define` would take, the domain's XML and the policy."""
    for step in plan.steps:
        output.say(f"- {step['does']}")
    for title, text, language in (
        ("The domain:", plan.xml, "xml"),
        ("The policy:", plan.policy, "lisp"),
    ):
        output.say()
        output.say(title)
        _code(output, text, language)
    output.say("Nothing was changed.")


def listed(output: Output, lines: Sequence[Listed]) -> None:
    """One line for each domain."""
    rows = [
        (
            line.name,
            line.state,
            line.confinement,
            line.kind or "-",
            line.label or "-",
            " ".join(line.addresses) or "-",
        )
        for line in lines
    ]
    table.show(output, ("Name", "State", "Confinement", "Kind", "Label", "Addresses"), rows)


def info(output: Output, found: Info) -> None:
    """A line for each thing known of a domain, and why it is not confined."""
    for title, text in _info_lines(found):
        output.say(f"{title + ':':14} {clean(text)}")


def limited(output: Output, found: Limited) -> None:
    """One sentence on what a container may take."""
    limits = found.limits
    output.say(
        f"{found.name} has {limits.memory_mib} MiB of memory and {_processors(limits.vcpus)}, "
        f"{_limits(limits)}."
    )


def shifted(output: Output, found: Shifted) -> None:
    """One sentence on what a container is now."""
    was = "" if found.changed else " already"
    output.say(f"{found.name} is {found.kind}{was}{_as_ids(found.ids)}.")


def reaching(output: Output, found: Reached) -> None:
    """One sentence on whom a container may ask, and one on its ports that are the host's."""
    whom = {
        Egress.NONE: "nobody",
        Egress.LAN: "whoever has a local address, this host among them",
        Egress.ALL: "everybody outside, and this host",
    }[found.egress]
    output.say(f"{found.name} may ask {whom}; it may answer whoever may ask it.")
    for exposed in found.exposed:
        output.say(f"Its port {exposed.port} is port {exposed.at} of this host.")


def _base(base: Base, *, scratch: bool) -> str:
    text = f"{base.name}, generation {base.generation}"
    return f"{text}; what is written is gone at stop" if scratch else text


def _info_lines(found: Info) -> list[tuple[str, str]]:
    lines: list[tuple[str, object]] = [
        ("Name", found.name),
        ("UUID", found.uuid),
        ("State", found.state),
        ("Confinement", found.confinement),
        ("Kind", found.kind),
        ("Label", found.label and found.label.process),
        ("Running as", found.live_label),
        ("Init's pid", found.init_pid),
        ("Ids", found.ids and _ids(found.ids)),
        ("Root", found.rootfs),
        ("Made from", found.source),
        ("On the base", found.base and _base(found.base, scratch=found.scratch)),
        ("Init", " ".join(map(str, filter(None, (found.init, *found.init_args)))) or None),
        ("Init policy", found.init_policy),
        ("Apart by", found.apart_by),
        ("Memory", found.memory_mib and f"{found.memory_mib} MiB"),
        ("Processors", found.vcpus),
        ("Limits", found.limits and _limits(found.limits)),
        ("Network", found.network and _network(found.network)),
        ("Addresses", " ".join(found.addresses) or None),
        *(("Mount", _mount(mount)) for mount in found.mounts),
        *(("May ask", f"{link.to} at {link}") for link in found.links),
        ("Egress", found.egress),
        ("Exposed", " ".join(map(str, found.exposed)) or None),
        ("May be asked", " ".join(map(str, found.served)) or None),
        ("Autostart", "yes" if found.autostart else "no"),
        *(("Remark", remark) for remark in found.remarks),
        ("Persistent", "yes" if found.persistent else "no"),
    ]
    return [(title, str(value)) for title, value in lines if value is not None]


def _ids(ids: IdRange) -> str:
    return f"0 to {ids.count - 1} are {ids.start} to {ids.stop - 1} here"


def _as_ids(ids: IdRange | None) -> str:
    if ids is None:
        return ", its root being root of this host"
    return f", with ids {ids.start} to {ids.stop - 1}"


def _processors(number: int) -> str:
    return "one processor" if number == 1 else f"{number} processors"


def _limits(limits: Limits) -> str:
    shares = "" if limits.cpu_shares is None else f", {limits.cpu_shares} shares of processors"
    weight = "" if limits.io_weight is None else f", weight {limits.io_weight} for block devices"
    files = "" if limits.files is None else f", {limits.files} open files each"
    inotify = f", {limits.inotify} inotify instances"
    return f"{limits.pids} processes{files}{inotify}, {limits.swap_mib} MiB of swap{shares}{weight}"


def _network(network: Network) -> str:
    if network.kind is NetworkKind.NONE:
        return "none"
    gateway = f", router {network.gateway}" if network.gateway else ""
    return f"{network.kind} {network.source}{gateway}"


def _mount(mount: Mount) -> str:
    with_ids = ", with the host's ids" if mount.idmap else ""
    return f"{mount.source} at {mount.target}{', read-only' if mount.read_only else ''}{with_ids}"


def _code(output: Output, text: str, language: str) -> None:
    """`text` with its syntax coloured on a terminal, and as it is elsewhere."""
    if not sys.stdout.isatty():
        output.say(text.rstrip())
        return
    from rich.syntax import Syntax  # noqa: PLC0415  (slow to import)

    output.render(Syntax(text.rstrip(), language, theme="ansi_dark", background_color="default"))
