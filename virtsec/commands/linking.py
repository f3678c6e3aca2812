"""link, unlink, links: what containers may ask each other for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from virtsec.commands.find import check_policy, find_ours
from virtsec.commands.host import open_host
from virtsec.domain.links import links_of, with_links
from virtsec.domain.metadata import Container, readable
from virtsec.domain.records import DomainRecord
from virtsec.errors import BadInput, NotFound, Refused
from virtsec.host.lock import host_lock
from virtsec.mac.protocol import MacModule
from virtsec.plans.reach import check_port, plan_link, plan_unlink
from virtsec.spec import ContainerSpec, Link, NetworkKind
from virtsec.step import Host, Step, execute

Known = Mapping[str, tuple[DomainRecord, Container]]
"""Containers by name, each with its domain."""


@dataclass(frozen=True, slots=True)
class Linked:
    """What one container may ask others for."""

    name: str  #: who may ask
    links: tuple[Link, ...]


def link(name: str, wanted: Sequence[Link], host: Host | None = None) -> Linked:
    """Let container `name` use `wanted`, besides what it may already; from now on.

    Raises `BadInput` for a link to itself, `Refused` for one to a container that is not on the same
    network or for a port that those who share a policy cannot have, and `Failed` when a step fails;
    nothing is changed then.
    """
    host = host or open_host()
    check_policy(host)
    with host_lock(host.progress):
        ours = find_ours(name, host)
        for to in sorted({each.to for each in wanted}):
            if to == name:
                raise BadInput(f"{name} may ask itself without a link.", "Name another container.")
            check_linkable(ours, find_ours(to, host))
        have = ours[1].spec.links
        news = {each for each in wanted if each not in have}
        new = (labelled(each, host.mac) for each in news)
        return _change(name, (*have, *new), plan_link, host)


def labelled(link: Link, mac: MacModule) -> Link:
    """A link with the policy's name for its port."""
    return replace(link, label=mac.port_label(link.port, link.protocol))


def unlink(name: str, to: str, ports: Iterable[Link], host: Host | None = None) -> Linked:
    """Take `ports` away, all that `name` may ask `to` for where there are none; from now on.

    Raises `NotFound` where there is no such link, and `Failed` when a step fails; nothing is
    changed then.
    """
    host = host or open_host()
    check_policy(host)
    gone = set(ports)
    with host_lock(host.progress):
        have = find_ours(name, host)[1].spec.links
        leaving = gone or {each for each in have if each.to == to}
        if missing := sorted(leaving.difference(have)):
            which = ", ".join(map(str, missing))
            raise NotFound(f"{name} has no link to {to}, {which}.", "See `virtsec links`.")
        if not leaving:
            raise NotFound(f"{name} has no link to {to}.", "See `virtsec links`.")
        left = tuple(each for each in have if each not in leaving)
        return _change(name, left, plan_unlink, host)


def links(host: Host | None = None) -> list[Linked]:
    """What each container may ask others for, those that may nothing left out."""
    host = host or open_host()
    found = links_of(readable(host.libvirt.domains()))
    return [Linked(name, found[name]) for name in sorted(found)]


def _change(
    name: str,
    links: tuple[Link, ...],
    plan: Callable[[Sequence[Container], Sequence[Container], MacModule], tuple[Step, ...]],
    host: Host,
) -> Linked:
    """Let `name` ask for `links` and nothing else, in the order that `plan` has for it."""
    before = list(readable(host.libvirt.domains()))
    after = with_links(before, {**links_of(before), name: links})
    execute(plan(before, after, host.mac), host)
    return Linked(name, tuple(sorted(links)))


def check_new_links(spec: ContainerSpec, have: Collection[Link], there: Known) -> None:
    """Raise `Refused` where one that `spec` asks for, and does not `have`, cannot be.

    Links to who is not among those that are `there`, as `spec` itself is, are left aside.
    """
    for to in sorted({link.to for link in spec.links if link not in have and link.to in there}):
        check_linkable(there[spec.name], there[to])


def check_linkable(
    one: tuple[DomainRecord, Container], other: tuple[DomainRecord, Container]
) -> None:
    """Raise `Refused` unless both are ports of one bridge, called as the rules will call them."""
    names = f"{one[1].name} and {other[1].name} cannot be linked"
    networks = [each.spec.network for _, each in (one, other)]
    if any(each.kind is NetworkKind.NONE for each in networks):
        raise Refused(f"{names}: one of them has no network.", "Define both on one network.")
    if len({(each.kind, each.source) for each in networks}) > 1:
        sources = " and ".join(each.source for each in networks)
        raise Refused(
            f"{names}: they are on different networks, {sources}.", "Define both on one network."
        )
    for record, _ in (one, other):
        check_port(record, f"{names}: the interface")
