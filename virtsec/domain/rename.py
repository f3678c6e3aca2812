"""The same container under another name: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from virtsec.domain import metadata
from virtsec.domain.document import parse, serialise
from virtsec.domain.metadata import Container
from virtsec.domain.xml import fill_seclabel, one, partition
from virtsec.names import port_of
from virtsec.spec import STORE, Label


def renamed(container: Container, new: str, label: Label) -> Container:
    """`container` as `new`, with its root, where it is in the store, at the place of that name."""
    spec, own = container.spec, STORE / container.name
    rootfs = spec.rootfs
    if rootfs.is_relative_to(own):
        rootfs = STORE / new / rootfs.relative_to(own)
    return replace(
        container,
        spec=replace(spec, name=new, rootfs=rootfs),
        identity=replace(container.identity, label=label),
    )


def with_renamed_links(other: Container, old: str, new: str) -> Container:
    """Another container, whose links to `old` lead to `new`."""
    links = tuple(sorted(replace(each, to=new if each.to == old else each.to)
                         for each in other.spec.links))  # fmt: skip
    return replace(other, spec=replace(other.spec, links=links))


def of_other_name(
    xml: str, before: Container, after: Container, seclabel: Mapping[str, str] | None
) -> str:
    """The definition `xml` of `before` as that of `after`; what else is in it stays.

    libvirt gives it another UUID: a domain's is for good, and so is a name's.
    """
    domain = parse(xml, f"The definition of {before.name}")
    domain.remove(one(domain, "uuid"))
    one(domain, "name").text = after.name
    one(domain, "resource/partition").text = partition(after.name)
    for node in domain.iterfind("devices/filesystem"):
        if one(node, "target").get("dir") == "/":
            one(node, "source").set("dir", str(after.spec.rootfs))
    for node in domain.iterfind("devices/interface/target"):
        if node.get("dev") == port_of(before.name):
            node.set("dev", port_of(after.name))
    if seclabel is not None:
        label = next(each for each in domain.iterfind("seclabel")
                     if each.get("model") == seclabel["model"])  # fmt: skip
        for each in list(label):
            label.remove(each)
        fill_seclabel(label, seclabel)
    metadata.put(domain, after)
    return serialise(domain)
