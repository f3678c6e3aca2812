"""The elements of a domain that are virtsec's own, by `virtsec.domain.elements`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from lxml import etree

from docs.generate.block import Block, Code, Heading, Paragraph, Table, code
from virtsec.domain import metadata
from virtsec.domain.elements import CONTAINER, ELEMENTS, Element
from virtsec.runtime import start
from virtsec.spec import (
    Addition,
    Base,
    ContainerSpec,
    Egress,
    Exposed,
    Identity,
    IdRange,
    Label,
    Limits,
    Link,
    Mount,
    Served,
)


def blocks() -> Iterator[Block]:
    """The page."""
    yield Heading(1, "Metadata")
    yield Paragraph(
        "What libvirt's own elements cannot say of a container stands in one element of its "
        f"`<metadata>`, in the namespace `{start.NAMESPACE}`. The hook compares it with the "
        "rest of the domain before each start, and refuses one that is not what it says. Memory, "
        "processors, network, mounts and the arguments of init are read from libvirt's elements."
    )
    yield Code(example(), "xml")
    yield from _described("container", CONTAINER)
    for tag, element in ELEMENTS.items():
        yield from _described(tag, element)


def example() -> str:
    """The element of a container that has all there may be."""
    label = Label(
        "selinux",
        "system_u:system_r:vs1_t:s0:c1,c2",
        "system_u:object_r:vs1_file_t:s0:c1,c2",
        "system_u:object_r:vs1_exec_t:s0:c1,c2",
    )
    spec = ContainerSpec(
        name="vs1",
        rootfs=PurePosixPath("/var/lib/virtsec/vs1/rootfs"),
        base=Base("web", 3),
        scratch=True,
        limits=Limits(cpu_shares=200, io_weight=50, files=4096, inotify=128),
        mounts=(Mount(PurePosixPath("/srv/web"), PurePosixPath("/var/www"), idmap=True),),
        additions=(Addition("http_cache_port_t", "tcp_socket", ("name_bind",)),),
        links=(Link("db", 5432, label="postgresql_port_t"),),
        served=(Served(80, label="http_port_t"),),
        exposed=(Exposed(8080, 80, "http_port_t"),),
        egress=Egress.LAN,
    )
    root = metadata.write(metadata.Container(spec, Identity(label, IdRange(1048576))))
    text: str = etree.tostring(root, pretty_print=True, encoding="unicode")
    return text


def _described(tag: str, element: Element) -> Iterator[Block]:
    yield Heading(2, tag)
    need = " It is always there." if element.needed else ""
    yield Paragraph(element.meaning + need)
    rows = [
        (code(name), need, meaning)
        for need, attributes in (("always", element.must), ("", element.may))
        for name, meaning in attributes.items()
    ]
    if rows:
        yield Table(("attribute", "there", "meaning"), tuple(rows))
