"""What lies between the containers there are and those a fleet file asks for; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from virtsec.domain.metadata import Container
from virtsec.fleet.wanted import Fleet
from virtsec.spec import ContainerSpec, Limits

BASE, CONTAINER = "base", "container"


class Action(StrEnum):
    """What is done with a container or a base."""

    MAKE = "make"
    CHANGE = "change"
    REMOVE = "remove"


class When(StrEnum):
    """When a change is in force."""

    LIVE = "live"  #: at once, whether it runs or not
    NEXT_START = "next start"  #: when it is started once more
    REBUILD = "rebuild"  #: in a container that is made anew; what is in its tree is lost


@dataclass(frozen=True, slots=True)
class Change:
    """One thing about a container that is to be otherwise."""

    field: str  #: of its spec, or of its limits
    before: Any  #: as it is
    after: Any  #: as the file asks
    when: When


@dataclass(frozen=True, slots=True)
class Difference:
    """What is to be done with one container, or one base."""

    action: Action
    kind: str  #: "container" or "base"
    name: str  #: the container's or the base's
    changes: tuple[Change, ...] = ()  #: of a container that is to be otherwise
    spec: ContainerSpec | None = None  #: what a container is to be; None for what is left to make
    source: str | None = None  #: what a base is made from


_WHEN: Mapping[str, When] = {
    "limits": When.LIVE,
    "egress": When.LIVE,
    "exposed": When.LIVE,
    "links": When.LIVE,
    "autostart": When.LIVE,
    "network": When.NEXT_START,
    "mounts": When.NEXT_START,
    "init": When.NEXT_START,
    "init_args": When.NEXT_START,
    "init_policy": When.REBUILD,
    "privileged": When.REBUILD,
    "rootfs": When.REBUILD,
    "apart_by": When.REBUILD,
    "base": When.REBUILD,
    "scratch": When.REBUILD,
}


def differences(
    have: Sequence[Container],
    bases: Collection[str],
    fleet: Fleet,
    *,
    unfinished: Collection[str] = (),
    going: Collection[str] = (),
    prune: bool = False,
) -> tuple[Difference, ...]:
    """What is to be done, in the order it is done: nothing where all is as the file asks.

    Of the containers that are `unfinished` the rest is to be made, which needs no spec. Those that
    are `going`, since their removal was cut off, go for good and are made anew. Without `prune`
    containers that the file does not name are left alone. Bases are never removed.
    """
    there = {each.name: each.spec for each in have}
    named = {spec.name for spec in fleet.containers}
    found = [
        Difference(Action.MAKE, BASE, name, source=source)
        for name, source in fleet.bases.items()
        if name not in bases
    ]
    if prune:
        gone = sorted(there.keys() - named)
        found += [Difference(Action.REMOVE, CONTAINER, name) for name in gone]
    cut_off = [spec.name for spec in fleet.containers if spec.name in going]
    found += [Difference(Action.REMOVE, CONTAINER, name) for name in cut_off]
    for spec in fleet.containers:
        if spec.name not in there or spec.name in going:
            found.append(Difference(Action.MAKE, CONTAINER, spec.name, spec=spec))
            continue
        if spec.name in unfinished:
            found.append(Difference(Action.MAKE, CONTAINER, spec.name))
        if changes := tuple(_changes(there[spec.name], spec)):
            found.append(Difference(Action.CHANGE, CONTAINER, spec.name, changes, spec))
    return tuple(found)


def _changes(have: ContainerSpec, wanted: ContainerSpec) -> Iterator[Change]:
    wanted = as_defined(wanted, have)
    for name, when in _WHEN.items():
        before, after = getattr(have, name), getattr(wanted, name)
        if before == after:
            continue
        if isinstance(before, Limits):
            for each in fields(before):
                one, other = getattr(before, each.name), getattr(after, each.name)
                if one != other:
                    yield Change(each.name, one, other, when)
        else:
            yield Change(name, before, after, when)


def as_defined(wanted: ContainerSpec, have: ContainerSpec) -> ContainerSpec:
    """`wanted` with what `define` has filled in, where the file does not say otherwise.

    The router of a static address is the network's own, a base is one of its generations, and what
    a tree was made from is asked once.
    """
    network = wanted.network
    if network.gateway is None and replace(have.network, gateway=None) == network:
        network = have.network
    base = wanted.base
    if base is None and wanted.source is None:
        base = have.base  # it took up what was left on one
    elif base is not None and have.base is not None and base.name == have.base.name:
        base = have.base
    return replace(
        wanted,
        network=network,
        base=base,
        source=have.source,
        served=have.served,
        additions=have.additions,
    )
