"""A domain that somebody else made, as a container of virtsec's: pure.

What the hook asks of a definition is put in, all else in it stays. What it was before stands in the
metadata, so that it can be given back letter by letter.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from lxml import etree

from virtsec.domain import metadata
from virtsec.domain.document import parse, serialise
from virtsec.domain.limits import fill
from virtsec.domain.metadata import Container
from virtsec.domain.verdict import differences
from virtsec.domain.xml import fill_capabilities, fill_seclabel, partition
from virtsec.errors import BadInput, Refused
from virtsec.names import port_of
from virtsec.numbers import number
from virtsec.spec import ContainerSpec, Identity, IdRange, Label

_EDIT = "Change it with `virsh -c lxc:/// edit`, or leave it to virsh."


def described(xml: str) -> ContainerSpec:
    """What a definition says that a container must have: name, root, kind and init.

    Raises `BadInput` where it has none, or is of another driver of libvirt's.
    """
    domain = parse(xml, "The definition")
    name = domain.findtext("name") or ""
    if domain.get("type") != "lxc":
        raise BadInput(
            f"{name} is of type {domain.get('type')}, not lxc.",
            "Name a domain of libvirt's LXC driver.",
        )
    roots = _roots(domain)
    if len(roots) != 1 or roots[0] is None:
        raise BadInput(f"{name} has no root of its own: one <filesystem> with target '/'.", _EDIT)
    return ContainerSpec(
        name=name,
        rootfs=PurePosixPath(roots[0].get("dir", "")),
        privileged=domain.find("idmap") is None,
        init=PurePosixPath(domain.findtext("os/init") or "/sbin/init"),
    )


def called(xml: str, name: str | None) -> str:
    """The same definition for a domain of another name, unless that is None; with no UUID then."""
    domain = parse(xml, "The definition")
    if name is None or name == domain.findtext("name"):
        return xml
    for each in domain.findall("uuid"):
        domain.remove(each)
    _child(domain, "name").text = name
    return serialise(domain)


def _roots(domain: etree._Element) -> list[etree._Element | None]:
    """Where a definition says that what is mounted as its root is on the host."""
    return [
        each.find("source")
        for each in domain.iterfind("devices/filesystem[@type='mount']")
        if (target := each.find("target")) is not None and target.get("dir") == "/"
    ]


def given_back(xml: str, name: str, uuid: str, rootfs: PurePosixPath) -> str:
    """The definition `xml` of a domain that may have been renamed since: letter by letter if not.

    Under another name or UUID it would be another domain, and of a tree that is not there.
    """
    domain = parse(xml, "The definition it had")
    roots = [root for root in _roots(domain) if root is not None]
    moved = [root for root in roots if PurePosixPath(root.get("dir", "")) != rootfs]
    if (domain.findtext("name"), domain.findtext("uuid")) == (name, uuid) and not moved:
        return xml
    _child(domain, "name").text = name
    _child(domain, "uuid").text = uuid
    for root in moved:
        root.set("dir", str(rootfs))
    return serialise(domain)


def ids_of(xml: str) -> IdRange | None:
    """The ids that a definition maps root inside to; None where it maps none.

    Raises `BadInput` for anything but one range of users and groups alike, from root on.
    """
    domain = parse(xml, "The definition")
    maps = {
        kind: [(each.get("start"), each.get("target"), each.get("count")) for each in
               domain.iterfind(f"idmap/{kind}")]
        for kind in ("uid", "gid")
    }  # fmt: skip
    if maps == {"uid": [], "gid": []}:
        return None
    if maps["uid"] != maps["gid"] or len(maps["uid"]) != 1 or maps["uid"][0][0] != "0":
        raise BadInput("Its <idmap> is not one range of ids from 0 on, users as groups.", _EDIT)
    _, start, count = maps["uid"][0]
    first, many = number(start or ""), number(count or "")
    if first is None or many is None:
        raise BadInput("Its <idmap> has ids that are no numbers.", _EDIT)
    return IdRange(first, many)


def adopted(
    xml: str,
    label: Label,
    seclabel: Mapping[str, str] | None,
    controller: PurePosixPath,
    *,
    remember: bool,
) -> tuple[Container, str]:
    """The container that the domain `xml` becomes, and its definition.

    With `remember` the definition it has now stands in it. Raises `BadInput`, and `Refused` for
    what no container of virtsec's may have.
    """
    spec = described(xml)
    domain = parse(xml, f"The definition of {spec.name}")
    identity = Identity(label, ids_of(xml))
    first = Container(spec, identity, controller, xml if remember else None)
    _put_in(domain, first, seclabel)
    # Once more with all that only the whole definition says.
    container = metadata.read(serialise(domain))
    assert container is not None
    fill(domain, container.spec.limits)
    metadata.put(domain, container)
    text = serialise(domain)
    found = differences(spec.name, text)
    if found:
        raise Refused(f"{spec.name} cannot be confined as it is: {found[0]}", _EDIT)
    return container, text


def _put_in(
    domain: etree._Element, container: Container, seclabel: Mapping[str, str] | None
) -> None:
    name = container.name
    _child(_child(domain, "resource"), "partition").text = partition(name)
    os_ = _child(domain, "os")
    _child(os_, "init").text = str(container.spec.init)
    features = _child(domain, "features")
    for each in features.findall("capabilities"):
        features.remove(each)
    fill_capabilities(
        etree.SubElement(features, "capabilities", policy="deny"), container.spec.privileged
    )
    devices = _child(domain, "devices")
    _child(devices, "emulator").text = str(container.controller)
    interfaces = devices.findall("interface")
    if interfaces:
        _child(interfaces[0], "target").set("dev", port_of(name))
    elif features.find("privnet") is None:
        etree.SubElement(features, "privnet")
    for each in domain.findall("seclabel"):
        domain.remove(each)
    if seclabel is not None:
        fill_seclabel(etree.SubElement(domain, "seclabel"), seclabel)
    metadata.put(domain, container)


def _child(parent: etree._Element, tag: str) -> etree._Element:
    """The child of that name, made where it is missing."""
    found = parent.find(tag)
    return etree.SubElement(parent, tag) if found is None else found
