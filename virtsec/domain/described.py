"""What libvirt's own elements of a domain say of a container (formatdomain.html)."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from ipaddress import ip_address, ip_interface
from pathlib import PurePosixPath

from lxml import etree

from virtsec.domain.document import parse
from virtsec.errors import BadInput
from virtsec.numbers import number
from virtsec.spec import Mount, Network, NetworkKind

#: Destinations of default routes.
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  (routes, nothing listens)
#: Bytes in libvirt's units of memory (formatdomain.html, "Memory allocation").
_UNITS = {
    "b": 1,
    "bytes": 1,
    "KB": 10**3,
    "k": 2**10,
    "KiB": 2**10,
    "MB": 10**6,
    "M": 2**20,
    "MiB": 2**20,
    "GB": 10**9,
    "G": 2**30,
    "GiB": 2**30,
    "TB": 10**12,
    "T": 2**40,
    "TiB": 2**40,
}
_MIB = 2**20


def _mend(name: str) -> str:
    return f"Put it right with `virsh -c lxc:/// edit {name}`."


def memory(domain: etree._Element, name: str) -> int:
    """MiB that it may take. Raises `BadInput`."""
    node = domain.find("memory")
    unit = "KiB" if node is None else node.get("unit", "KiB")
    text = "" if node is None else (node.text or "").strip()
    amount = number(text)
    if amount is None or unit not in _UNITS:
        raise BadInput(f"The <memory> of {name} is not an amount: {text} {unit}.", _mend(name))
    return amount * _UNITS[unit] // _MIB


def vcpus(domain: etree._Element, name: str) -> int:
    """Processors that it may keep busy. Raises `BadInput`."""
    text = (domain.findtext("vcpu") or "1").strip()
    amount = number(text)
    if amount is None:
        raise BadInput(f"The <vcpu> of {name} is not a number: {text}.", _mend(name))
    return amount


def network(domain: etree._Element, name: str) -> Network:
    """The first interface that a `Network` can describe. Raises `BadInput`."""
    for node in domain.iterfind("devices/interface"):
        kind = node.get("type", "")
        if kind not in {NetworkKind.NETWORK, NetworkKind.BRIDGE}:
            continue
        source = node.find("source")
        try:
            return Network(
                kind=NetworkKind(kind),
                source="" if source is None else source.get(kind, ""),
                addresses=tuple(
                    ip_interface(f"{_address(ip, 'address')}/{ip.get('prefix')}")
                    if ip.get("prefix")
                    else ip_interface(_address(ip, "address"))
                    for ip in node.iterfind("ip")
                ),
                gateway=next(
                    (
                        ip_address(_address(route, "gateway"))
                        for route in node.iterfind("route")
                        if route.get("address") in EVERYWHERE and route.get("prefix", "0") == "0"
                    ),
                    None,
                ),
            )
        except ValueError as error:
            raise BadInput(
                f"The <interface> of {name} has a bad address: {error}.", _mend(name)
            ) from None
    return Network(kind=NetworkKind.NONE, source="")


def _address(node: etree._Element, attribute: str) -> str:
    """Raises `ValueError` for one with a zone, which libvirt does not know."""
    text: str = node.get(attribute, "")
    if "%" in text:
        raise ValueError(f"{text!r} has a zone")
    return text


def _bound(domain: etree._Element) -> Iterator[tuple[etree._Element, str, str]]:
    """Bind mounts beside the root, with source and target."""
    for node in domain.iterfind("devices/filesystem[@type='mount']"):
        source, target = node.find("source"), node.find("target")
        if source is not None and target is not None and target.get("dir") not in {None, "/"}:
            yield node, source.get("dir", ""), target.get("dir", "")


def sources(domain: etree._Element) -> set[str]:
    """What is mounted beside the root, to the letter."""
    return {source for _, source, _ in _bound(domain)}


def mounts(domain: etree._Element, mapped: Collection[str]) -> tuple[Mount, ...]:
    """Bind mounts beside the root; of the sources in `mapped` with the host's ids."""
    return tuple(
        Mount(
            source=PurePosixPath(source),
            target=PurePosixPath(target),
            read_only=node.find("readonly") is not None,
            idmap=source in mapped,
        )
        for node, source, target in _bound(domain)
    )


def port(xml: str) -> str | None:
    """What the host's end of a domain's network interface is to be called, if anything."""
    target = parse(xml, "The domain").find("devices/interface/target")
    return None if target is None else target.get("dev")
