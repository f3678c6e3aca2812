"""What the domains of a host already have, whoever made them, so that a new one gets another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import PurePosixPath

from lxml import etree

from virtsec.domain.document import parse
from virtsec.domain.metadata import TAG
from virtsec.domain.records import DomainRecord
from virtsec.numbers import number
from virtsec.runtime.start import NAMESPACE
from virtsec.spec import IdRange

#: Where an address is: kind and name of the network or bridge, and the address.
Place = tuple[str, str, IPv4Address | IPv6Address]


@dataclass(frozen=True, slots=True)
class Claims:
    """Taken labels, ids, addresses and roots; the latter two with the domain that has them."""

    labels: frozenset[str]  #: of processes
    ids: tuple[IdRange, ...]
    addresses: Mapping[Place, str]
    roots: Mapping[PurePosixPath, str]


def claims(records: Iterable[DomainRecord]) -> Claims:
    """What `records` have, in their definitions, running or not, and in our metadata."""
    labels: set[str] = set()
    ids: list[IdRange] = []
    places: dict[Place, str] = {}
    roots: dict[PurePosixPath, str] = {}
    for record in records:
        for text in filter(None, (record.xml, record.live_xml)):
            domain = parse(text, f"The definition of {record.name}")
            labels.update(_labels(domain))
            ids.extend(_ids(domain))
            places.update((place, record.name) for place in _places(domain))
            roots.update((root, record.name) for root in _roots(domain))
    return Claims(frozenset(labels), tuple(ids), places, roots)


def static_addresses(xml: str) -> tuple[str, ...]:
    """Addresses that a domain's definition gives it, without prefix."""
    if "<ip" not in xml:  # most have none, and the rest is read for other things
        return ()
    domain = parse(xml, "A domain's definition")
    found = domain.iterfind("devices/interface/ip")
    return tuple(node.get("address", "") for node in found)


def mac_addresses(xml: str) -> tuple[str, ...]:
    """The MAC addresses of a domain's interfaces, in lower case."""
    domain = parse(xml, "A domain's definition")
    found = domain.iterfind("devices/interface/mac")
    return tuple(node.get("address", "").lower() for node in found)


def _labels(domain: etree._Element) -> Iterator[str]:
    for node in domain.iterfind("seclabel/label"):
        yield (node.text or "").strip()
    for node in domain.iterfind(f"metadata/{TAG}/{{{NAMESPACE}}}label"):
        yield node.get("process", "")


def _ids(domain: etree._Element) -> Iterator[IdRange]:
    ours = domain.iterfind(f"metadata/{TAG}/{{{NAMESPACE}}}ids")
    pairs = [(node.get("start"), node.get("count")) for node in ours]
    pairs += [(node.get("target"), node.get("count")) for node in domain.iterfind("idmap/*")]
    for start, count in pairs:
        first, many = number(start or ""), number(count or "")
        if first is not None and many:
            yield IdRange(first, many)


def _places(domain: etree._Element) -> Iterator[Place]:
    for interface in domain.iterfind("devices/interface"):
        kind, source = interface.get("type", ""), interface.find("source")
        name = "" if source is None else source.get(kind, "")
        for node in interface.iterfind("ip"):
            try:
                yield kind, name, ip_address(node.get("address", ""))
            except ValueError:
                continue  # libvirt checks them; one that is none cannot be in the way


def _roots(domain: etree._Element) -> Iterator[PurePosixPath]:
    for node in domain.iterfind("devices/filesystem"):
        source, target = node.find("source"), node.find("target")
        if source is not None and target is not None and target.get("dir") == "/":
            path = source.get("dir") or source.get("file") or source.get("dev")
            if path:
                yield PurePosixPath(path)
