"""What all containers of a host may ask each other for: pure, from their metadata."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from virtsec.domain.metadata import Container
from virtsec.spec import AtPort, Egress, Links, Served, Traffic, Transport


@dataclass(frozen=True, slots=True)
class Way(AtPort):
    """One container may ask another, which may answer: see `virtsec link`."""

    source: str  #: who may ask
    target: str  #: whom
    port: int  #: where it listens
    protocol: Transport


def ways(containers: Iterable[Container]) -> Iterator[Way]:
    """Each link from its one end to the other."""
    for each in containers:
        for link in each.spec.links:
            yield Way(each.name, link.to, link.port, link.protocol)


def links_of(containers: Iterable[Container]) -> Links:
    """What those of them that may ask others for anything may ask for."""
    return {each.name: each.spec.links for each in containers if each.spec.links}


def traffic_of(containers: Sequence[Container]) -> Traffic:
    """What the packets of these may reach."""
    egress = {each.name: each.spec.egress for each in containers}
    return Traffic(
        links_of(containers),
        {name: reach for name, reach in egress.items() if reach is not Egress.ALL},
        frozenset(exposed.at for each in containers for exposed in each.spec.exposed),
        {
            each.name: tuple(str(address.ip) for address in each.spec.network.addresses)
            for each in containers
            if each.spec.exposed
        },
    )


def with_links(containers: Sequence[Container], links: Links) -> list[Container]:
    """The same containers with these links, at both ends."""
    ends = [(link.to, Served(link.port, link.protocol, link.label))
            for asked in links.values() for link in asked]  # fmt: skip
    return [
        replace(
            each,
            spec=replace(
                each.spec,
                links=tuple(sorted(links.get(each.name, ()))),
                served=tuple(sorted({served for to, served in ends if to == each.name})),
            ),
        )
        for each in containers
    ]
