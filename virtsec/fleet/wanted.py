"""What a fleet file asks for: the containers, spec by spec, their bases and their links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface
from pathlib import PurePosixPath
from typing import Any

from virtsec import words
from virtsec.domain.checks import check_spec
from virtsec.errors import BadInput, VirtsecError
from virtsec.fleet.document import Document
from virtsec.fleet.place import Place
from virtsec.fleet.schema import check
from virtsec.names import check_name
from virtsec.rootfs.sources import default_source
from virtsec.spec import Base, ContainerSpec, Egress, Limits, Link, NetworkKind, default_root

Interface = IPv4Interface | IPv6Interface
NUMBER = "{n}"
#: Of which a container has one at most.
_EXCLUDED = {"from": "base", "base": "from", "network": "bridge", "bridge": "network"}
_MOST_CONTAINERS = 100_000


@dataclass(frozen=True, slots=True)
class Fleet:
    """All that a file asks for. A base has the generation 1 where it stands for the newest."""

    containers: tuple[ContainerSpec, ...]
    bases: Mapping[str, str]  #: what each is made from


def wanted(document: Document) -> Fleet:
    """What the file asks for; pure. Raises `BadInput` with file and line."""
    check(document)
    data: dict[str, Any] = document.data
    bases = {name: each["from"] for name, each in data.get("bases", {}).items()}
    for name in bases:
        _at(document, ("bases", name), check_name, name)
    pools = {
        name: _at(document, ("pools", name), _pool, text)
        for name, text in data.get("pools", {}).items()
    }
    specs: dict[str, ContainerSpec] = {}
    places: dict[str, Place] = {}
    owners: dict[object, str] = {}
    for at, entry in enumerate(data["containers"]):
        place: Place = ("containers", at)
        for spec in _members(document, place, entry, pools):
            if spec.name in specs:
                raise document.wrong(
                    place,
                    f"There are two containers called {spec.name}.",
                    "Call one of them otherwise.",
                )
            for claim in _claims(spec):
                if (other := owners.setdefault(claim, spec.name)) != spec.name:
                    raise document.wrong(
                        place,
                        f"{other} and {spec.name} would both have {claim[-1]}.",
                        "Give one of them another.",
                    )
            specs[spec.name] = spec
            places[spec.name] = place
            if len(specs) > _MOST_CONTAINERS:
                raise document.wrong(
                    place, f"These are more than {_MOST_CONTAINERS} containers.", "Ask for fewer."
                )
    for at, entry in enumerate(data.get("links", ())):
        for name, link in _links(document, ("links", at), entry, specs):
            specs[name] = replace(specs[name], links=tuple(sorted({*specs[name].links, link})))
    return Fleet(tuple(specs.values()), bases)


def _members(
    document: Document,
    place: Place,
    entry: Mapping[str, Any],
    pools: Mapping[str, Iterator[Interface]],
) -> Iterator[ContainerSpec]:
    """The containers that one entry is about."""
    data = document.data
    profiles, profile = data.get("profiles", {}), entry.get("profile")
    if profile is not None and profile not in profiles:
        raise document.wrong(
            (*place, "profile"), f"There is no profile {profile}.", "Put it under profiles."
        )
    settings = _inherited(data.get("defaults", {}), profiles.get(profile, {}), entry)
    pattern, count = entry["name"], entry.get("count")
    if (count is not None) != (NUMBER in pattern):
        raise document.wrong(
            (*place, "name"),
            f"A name has {NUMBER} in it where there is a count, and nowhere else.",
            f"Write such as web-{NUMBER} with a count, and such as db without.",
        )
    for number in range(1, (count or 1) + 1):
        name = pattern.replace(NUMBER, str(number))
        addresses = _addresses(document, place, name, entry, pools)
        yield _at(document, place, _spec, name, settings, addresses)


def _inherited(*levels: Mapping[str, Any]) -> dict[str, Any]:
    """What the last level says, and of the others what it does not say itself or exclude."""
    found: dict[str, Any] = {}
    for level in levels:
        for word in level:
            found.pop(_EXCLUDED.get(word, ""), None)
        found |= level
    return found


def _addresses(
    document: Document,
    place: Place,
    name: str,
    entry: Mapping[str, Any],
    pools: Mapping[str, Iterator[Interface]],
) -> list[str]:
    """Those that an entry has, or the next of its pool."""
    pool = entry.get("pool")
    if pool is None:
        return list(entry.get("address", ()))
    if pool not in pools:
        raise document.wrong((*place, "pool"), f"There is no pool {pool}.", "Put it under pools.")
    following = next(pools[pool], None)
    if following is None:
        raise document.wrong(
            (*place, "pool"), f"The pool {pool} has no address left for {name}.", "Make it larger."
        )
    return [str(following)]


def _spec(name: str, said: Mapping[str, Any], addresses: list[str]) -> ContainerSpec:
    """The spec of one container. Raises `BadInput` or `Refused`."""
    check_name(name)
    rootfs = PurePosixPath(said.get("rootfs", default_root(name)))
    base, limits = said.get("base"), Limits()
    network = words.network(
        None if said.get("network") == "none" else said.get("network"),
        said.get("bridge"),
        said.get("network") == "none",
        addresses,
        said.get("gateway"),
    )
    spec = ContainerSpec(
        name=name,
        rootfs=rootfs,
        source=said.get("from", None if base else default_source(rootfs)),
        base=None if base is None else Base(check_name(base)),
        scratch=said.get("scratch", False),
        privileged=said.get("privileged", False),
        limits=Limits(
            memory_mib=words.memory(str(said.get("memory", limits.memory_mib))),
            swap_mib=words.swap(str(said.get("swap", limits.swap_mib))),
            vcpus=said.get("vcpus", limits.vcpus),
            cpu_shares=said.get("cpu-shares"),
            io_weight=said.get("io-weight"),
            pids=said.get("pids", limits.pids),
            files=said.get("files"),
            inotify=said.get("inotify", limits.inotify),
        ),
        network=network,
        mounts=tuple(words.mount(text) for text in said.get("mount", ())),
        init=PurePosixPath(said.get("init", "/sbin/init")),
        init_args=tuple(said.get("init-args", ())),
        init_policy=words.init_policy(said.get("init-policy", "own")),
        apart_by=words.apart_by(said.get("confinement", "type")),
        autostart=said.get("autostart", False),
        egress=Egress(said.get("egress", "all")),
        exposed=tuple(sorted(words.exposed(text) for text in said.get("expose", ()))),
    )
    check_spec(spec)
    return spec


def _claims(spec: ContainerSpec) -> Iterator[tuple[str, ...]]:
    """What no two containers of a host can have; the last word is for a sentence."""
    network = spec.network
    for address in network.addresses:
        yield "address", network.kind.value, network.source, f"the address {address.ip}"
    for exposed in spec.exposed:
        yield "port", f"port {exposed.at} of the host"


def _links(
    document: Document, place: Place, entry: Mapping[str, Any], specs: Mapping[str, ContainerSpec]
) -> Iterator[tuple[str, Link]]:
    """The links that one entry asks for, with the names of those that may ask."""
    to = entry["to"]
    if to not in specs:
        raise document.wrong(
            (*place, "to"),
            f"There is no container {to} in this file.",
            "Name one of its containers.",
        )
    link: Link = _at(document, (*place, "port"), words.link, to, str(entry["port"]))
    sources = [name for name in specs if fnmatchcase(name, entry["from"]) and name != to]
    if not sources:
        raise document.wrong(
            (*place, "from"),
            f"No other container in this file is called {entry['from']}.",
            "Name one, or such as web-*.",
        )
    for name in sources:
        networks = [specs[each].network for each in (name, to)]
        alike = len({(each.kind, each.source) for each in networks}) == 1
        if not alike or networks[0].kind is NetworkKind.NONE:
            raise document.wrong(
                place, f"{name} and {to} are not on one network.", "Give both the same."
            )
        yield name, link


def _pool(text: str) -> Iterator[Interface]:
    """The addresses of `FIRST-LAST/PREFIX`, in order."""
    ends, slash, prefix = text.partition("/")
    first, dash, last = ends.partition("-")
    try:
        if not slash or not dash:
            raise ValueError
        one, other = ip_address(first.strip()), ip_address(last.strip())
        network = ip_interface(f"{one}/{prefix}").network
        if other not in network or int(one) > int(other):
            raise ValueError
    except ValueError:
        raise BadInput(
            f"{text!r} is no range of addresses in one network.",
            "Write it such as 192.168.122.100-192.168.122.199/24.",
        ) from None
    return (
        ip_interface((ip_address(number), network.prefixlen))
        for number in range(int(one), int(other) + 1)
    )


def _at(document: Document, place: Place, work: Any, *arguments: Any) -> Any:
    """What `work` returns; what it raises is told by file and line."""
    try:
        return work(*arguments)
    except VirtsecError as error:
        raise document.wrong(place, error.sentence, error.remedy) from None
