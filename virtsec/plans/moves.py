"""Containers that get other addresses, also such as others of them have until then; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

from virtsec.domain.claims import Place, claims
from virtsec.domain.records import DomainRecord
from virtsec.spec import Network, NetworkKind


def together(
    records: Sequence[DomainRecord], wanted: Mapping[str, Network]
) -> list[tuple[str, ...]]:
    """Who of `wanted` is to change at once, since one gets what another has; everybody is in one.

    `records` are all domains. What a domain has that is not among them stays its own, and so does
    what one has that runs, until it stops, and what one has that cannot get what it is to: whoever
    is to get that is alone, to be told so.
    """
    owners: dict[Place, list[str]] = {}
    for record in records:
        for place in claims([record]).addresses:
            owners.setdefault(place, []).append(record.name)
    places = {name: _places(network) for name, network in wanted.items()}
    asked = {
        name: {owner for place in there for owner in owners.get(place, ()) if owner != name}
        for name, there in places.items()
    }
    going = places.keys() - {record.name for record in records if record.active}
    stuck: set[str] = set()
    while news := {name for name in places.keys() - stuck if not asked[name] <= going}:
        stuck |= news
        going -= news
    return _joined({name: set() if name in stuck else asked[name] for name in places})


def _places(network: Network) -> list[Place]:
    if network.kind is NetworkKind.NONE:
        return []
    ips: list[IPv4Address | IPv6Address] = [each.ip for each in network.addresses]
    return [(network.kind.value, network.source, ip) for ip in ips]


def _joined(asked: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """The parts of a graph that hang together, as it is walked from each of its nodes."""
    beside: dict[str, set[str]] = {name: set(others) for name, others in asked.items()}
    for name, others in asked.items():
        for other in others:
            beside[other].add(name)
    found: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for name in asked:
        if name in seen:
            continue
        part, waiting = [], [name]
        seen.add(name)
        while waiting:
            part.append(one := waiting.pop())
            news = beside[one] - seen
            seen |= news
            waiting += sorted(news)
        found.append(tuple(part))
    return found
