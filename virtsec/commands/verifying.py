"""verify: attack a running container, and say what held."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace

from virtsec.attacks.probe import Defence, Position, Probe
from virtsec.attacks.probes import PROBES
from virtsec.attacks.proof import ALL, HostSide, Result, Side, Verdict, judge, stage
from virtsec.attacks.proven import proven
from virtsec.attacks.report import page
from virtsec.attacks.verified import Verified
from virtsec.commands.entering import entry
from virtsec.commands.find import check_policy, find_ours
from virtsec.commands.host import open_host
from virtsec.domain.links import ways
from virtsec.errors import BadInput, Failed
from virtsec.step import Host, shown


def list_attacks(only: Collection[str] = ()) -> list[Probe]:
    """The attacks named, all when none is. Raises `BadInput` for an id that is none."""
    unknown = sorted(set(only) - set(PROBES))
    if unknown:
        raise BadInput(f"There is no attack {unknown[0]}.", "See `virtsec verify --list`.")
    return [probe for probe in PROBES.values() if not only or probe.id in only]


def verify(
    name: str,
    host: Host | None = None,
    against: str | None = None,
    only: Collection[str] = (),
) -> Verified:
    """Attack from inside `name`, the host and container `against`.

    Both have to run. Raises `Failed` when one does not or stops, and `BadInput` for an attack that
    there is not, or from a container on itself.
    """
    host = host or open_host()
    check_policy(host)
    probes = list_attacks(only)
    if against == name:
        raise BadInput(f"{name} cannot be attacked from itself.", "Name another container.")
    side = side_of(name, host)
    other = None if against is None else side_of(against, host)
    two = () if against is None else (name, against)
    links = ways(find_ours(each, host)[1] for each in two)
    between = tuple(each for each in links if each.target in two)
    return replace(attacked(side, other, host, probes), links=between)


def verify_page(verified: Sequence[Verified]) -> str:
    """What was verified, as an HTML page for an auditor: one file, no network."""
    return page(verified)


def attacked(side: Side, other: Side | None, host: Host, probes: Sequence[Probe]) -> Verified:
    """What comes of `probes` from inside the container `side`, whoever made it.

    Raises `Failed` when one of both stops.
    """
    alone = proven(host.mac.model, privileged=side.uid == 0)
    results: list[Result] = []
    with (
        shown(host.progress, f"attack from {side.name}", len(probes)) as advance,
        stage(host_side(host), side, other) as attack,
    ):
        for probe in probes:
            said, seen = attack(probe)
            active = active_at(probe.position, privileged=side.uid == 0)
            results.append(judge(probe, said, seen, active, alone.get(probe.id)))
            advance(1)
    return verified(side, other.name if other else None, results)


def verified(side: Side, against: str | None, results: Sequence[Result]) -> Verified:
    """The results of one container together; pure but for the kernel's name."""
    counts = {each.value: 0 for each in Verdict}
    for result in results:
        counts[result.verdict.value] += 1
    bad = counts[Verdict.BROKEN.value] + counts[Verdict.UNCLEAR.value]
    return Verified(
        name=side.name,
        against=against,
        model=side.target.model,
        label=side.target.label,
        privileged=side.uid == 0,
        kernel=os.uname().release,
        links=(),
        held=not bad and counts[Verdict.HELD.value] > 0,
        counts=counts,
        results=tuple(results),
    )


def active_at(position: Position, *, privileged: bool) -> frozenset[Defence]:
    """The defences in force where an attack begins."""
    active = ALL | {Defence.NETWORK}
    if privileged:
        active -= {Defence.USER}
    return active - {Defence.NAMESPACES} if position is Position.ESCAPED else active


def side_of(name: str, host: Host) -> Side:
    """The running container `name`, with the label it runs with, be that its own or not."""
    target, container = entry(name, host)
    identity = container.identity
    return Side(
        name=name,
        target=target,
        marks=host.mac.marks(identity.label).files,
        file_label=identity.label.file,
        uid=identity.ids.start if identity.ids else 0,
        linked=frozenset(each.port for each in container.spec.served),
    )


def host_side(host: Host) -> HostSide:
    """What of the host is attacked."""
    marks = host.mac.secret_marks()
    label = next(iter(marks.values())).rstrip(b"\0").decode()
    own = host.mac.process_label(os.getpid())
    if own is None:
        raise Failed(
            "The kernel does not say which label this process has.", "See `virtsec doctor`."
        )
    return HostSide(marks, label, own)
