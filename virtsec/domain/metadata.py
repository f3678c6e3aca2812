"""The part of a domain that is virtsec's own: what its other elements cannot say.

A domain and this element in its `<metadata>` are the only database. What may be in it, and what it
means, stands in `virtsec.domain.elements`; `docs/reference/metadata.md` shows one.

The hook compares these with the rest of the domain. What it need not compare stands in libvirt's
own elements alone (memory, vcpus, interface, mounts, arguments of init) and is read from there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from lxml import etree

from virtsec.domain import described
from virtsec.domain.document import parse
from virtsec.domain.elements import CONTAINER, ELEMENTS, Element
from virtsec.domain.records import DomainRecord
from virtsec.domain.verdict import differences
from virtsec.errors import BadInput
from virtsec.names import check_name, check_port, port_of
from virtsec.numbers import number
from virtsec.rootfs.bases import base_at, link_to
from virtsec.runtime import start
from virtsec.spec import (
    Addition,
    ApartBy,
    Base,
    ContainerSpec,
    Egress,
    Exposed,
    Identity,
    IdRange,
    InitPolicy,
    Label,
    Limits,
    Link,
    Served,
    Transport,
)

#: The controller that virtsec's domains name as their `<emulator>`.
CONTROLLER = PurePosixPath(start.CONTROLLER)
_OURS = f"{{{start.NAMESPACE}}}"
TAG = f"{_OURS}container"
#: Holds the definition of an adopted domain as it was.
BEFORE = f"{_OURS}before"

#: What of the limits libvirt has no word for, by field.
_KEPT = {
    "pids": "pids",
    "swap_mib": "swap",
    "cpu_shares": "cpu",
    "io_weight": "io",
    "files": "files",
    "inotify": "inotify",
}
#: What the words of additions and the labels of ports are made of; nothing that the policy of
#: either module could be broken by.
_WORD = re.compile(r"[A-Za-z0-9_.:-]*")
#: What a label of Smack's is made of (Smack.rst): no blank, and none of / \ ' and ".
_LABEL = re.compile(r"[!#-&(-.0-\[\]-~]+")


@dataclass(frozen=True, slots=True)
class Container:
    """A container as its domain describes it."""

    spec: ContainerSpec
    identity: Identity
    controller: PurePosixPath = CONTROLLER
    before: str | None = None  #: its definition before virtsec adopted it; None for its own

    @property
    def name(self) -> str:
        """The domain's name."""
        return self.spec.name


def write(container: Container) -> etree._Element:
    """The element that goes into `<metadata>`."""
    spec, identity = container.spec, container.identity
    root = etree.Element(TAG, nsmap={"virtsec": start.NAMESPACE})
    root.set("version", start.VERSION)
    root.set("kind", "privileged" if spec.privileged else "unprivileged")
    if spec.apart_by is not ApartBy.TYPE:
        root.set("apart", spec.apart_by.value)
    label = identity.label
    _add(root, "label", model=label.model, process=label.process, file=label.file, init=label.init)
    if identity.ids is not None:
        _add(root, "ids", start=str(identity.ids.start), count=str(identity.ids.count))
    made = {} if spec.source is None else {"source": spec.source}
    _add(root, "root", path=str(spec.rootfs), **made)
    if spec.base is not None:
        scratch = {"scratch": "yes"} if spec.scratch else {}
        _add(root, "base", tree=link_to(spec.base), **scratch)
    _add(root, "init", path=str(spec.init), policy=spec.init_policy.value)
    _add(root, "controller", path=str(container.controller))
    kept = {word: getattr(spec.limits, field) for field, word in _KEPT.items()}
    if spec.limits.inotify == start.INOTIFY:  # which the hook takes where nothing is said
        del kept["inotify"]
    _add(root, "limits", **{word: str(each) for word, each in kept.items() if each is not None})
    for mount in spec.mounts:
        if mount.idmap:
            _add(root, "idmap", source=str(mount.source))
    for each in spec.additions:
        kind = {"kind": each.kind} if each.kind else {}
        _add(root, "addition", object=each.object, **kind, access=" ".join(each.access))
    for link in spec.links:
        _add(root, "link", to=link.to, **_port(link))
    for served in spec.served:
        _add(root, "served", **_port(served))
    for exposed in spec.exposed:
        _add(root, "exposed", at=str(exposed.at), port=str(exposed.port), **_label(exposed))
    if spec.egress is not Egress.ALL:
        _add(root, "egress", to=spec.egress.value, port=port_of(spec.name))
    if container.before is not None:
        etree.SubElement(root, BEFORE).text = container.before
    return root


def put(domain: etree._Element, container: Container) -> None:
    """Have a definition say what `container` is, in the place of what it said."""
    holder = domain.find("metadata")
    if holder is None:
        holder = etree.SubElement(domain, "metadata")
    for each in holder.findall(TAG):
        holder.remove(each)
    holder.append(write(container))


def without_namespace(container: Container) -> str:
    """The same element as virDomainSetMetadata wants it, which adds the namespace itself."""
    root = write(container)
    for node in root.iter():
        node.tag = etree.QName(node).localname
    etree.cleanup_namespaces(root)
    text: str = etree.tostring(root, encoding="unicode")
    return text


def read_record(record: DomainRecord) -> Container | None:
    """The container of a domain's definition; see `read`.

    Raises `BadInput` as well where the metadata is gone and the rest still is virtsec's: such a
    domain is no foreign one, and the hook will refuse to start it.
    """
    container = read(record.xml, autostart=record.autostart)
    if container is None and differences(record.name, record.xml):
        raise _Reader(record.name).broken("is gone, while its emulator or its root are virtsec's")
    return container


def read(xml: str, autostart: bool = False) -> Container | None:
    """The container that `xml`, a domain's definition, describes; None when it is not ours.

    libvirt keeps `autostart` beside the XML. What a user added and a `ContainerSpec` has no word
    for (a second interface, another device) is passed over. Raises `BadInput` naming the element
    when the metadata is ours but broken or of another version.
    """
    domain = parse(xml, "The domain's definition")
    ours = domain.find(f"metadata/{TAG}")
    if ours is None:
        return None
    name = domain.findtext("name") or ""
    reader = _Reader(name)
    reader.check(ours, CONTAINER)
    if ours.get("version") != start.VERSION:
        raise reader.broken(f"is of version {ours.get('version')}, not {start.VERSION}")
    reader.check_all(ours)
    kind = ours.get("kind")
    if kind not in {"privileged", "unprivileged"}:
        raise reader.broken(f"has the unknown kind {kind!r}")
    ids = _ids(reader, ours, kind == "privileged")
    label, root, init = (ours.find(f"{_OURS}{tag}") for tag in ("label", "root", "init"))
    try:
        init_policy = InitPolicy(init.get("policy"))
    except ValueError:
        raise reader.broken(f"has the unknown init policy {init.get('policy')!r}") from None
    try:
        apart_by = ApartBy(ours.get("apart", ApartBy.TYPE.value))
    except ValueError:
        raise reader.broken(
            f"says that it is kept apart by what is unknown: {ours.get('apart')!r}"
        ) from None
    spec = ContainerSpec(
        name=name,
        rootfs=PurePosixPath(root.get("path")),
        source=root.get("source"),
        base=_base(reader, ours),
        scratch=ours.find(f"{_OURS}base[@scratch='yes']") is not None,
        privileged=kind == "privileged",
        limits=_limits(reader, domain, ours, name),
        network=described.network(domain, name),
        mounts=described.mounts(domain, _mapped(reader, domain, ours)),
        init=PurePosixPath(init.get("path")),
        init_args=tuple(node.text or "" for node in domain.iterfind("os/initarg")),
        init_policy=init_policy,
        apart_by=apart_by,
        autostart=autostart,
        additions=tuple(_additions(reader, ours)),
        links=tuple(_links(reader, ours)),
        served=tuple(_served(reader, ours)),
        egress=_egress(reader, ours, name),
        exposed=tuple(_exposed(reader, ours)),
    )
    labels = (label.get(field) for field in ("model", "process", "file", "init"))
    controller = PurePosixPath(ours.find(f"{_OURS}controller").get("path"))
    before = ours.findtext(BEFORE)
    return Container(spec, Identity(Label(*labels), ids), controller, before)


def readable(records: Iterable[DomainRecord]) -> Iterator[Container]:
    """Those of virtsec's whose metadata is not broken."""
    for record in records:
        with suppress(BadInput):
            container = read_record(record)
            if container is not None:
                yield container


class _Reader:
    """Holds the metadata against `ELEMENTS`; raises a `BadInput` that says what is missing."""

    def __init__(self, name: str) -> None:
        self._name = name

    def check(self, node: etree._Element, element: Element) -> None:
        """Whether all attributes are there that must be."""
        for attribute in element.must:
            if not node.get(attribute):
                tag = etree.QName(node).localname
                raise self.broken(f"lacks the attribute {attribute!r} of <{tag}>")

    def check_all(self, ours: etree._Element) -> None:
        """Whether all elements are there that must be, with their attributes."""
        seen = set()
        for node in ours.iterchildren(f"{_OURS}*"):
            tag = node.tag.removeprefix(_OURS)
            seen.add(tag)
            if tag in ELEMENTS:
                self.check(node, ELEMENTS[tag])
        for tag, element in ELEMENTS.items():
            if element.needed and tag not in seen:
                raise self.broken(f"lacks <{tag}>")

    def broken(self, how: str) -> BadInput:
        return BadInput(
            f"virtsec's metadata of {self._name} {how}.",
            f"Put it back with `virsh -c lxc:/// edit {self._name}`.",
        )


def _base(reader: _Reader, ours: etree._Element) -> Base | None:
    node = ours.find(f"{_OURS}base")
    if node is None:
        return None
    base = base_at(node.get("tree"))
    if base is None:
        raise reader.broken("names as its base what is none")
    return base


def _egress(reader: _Reader, ours: etree._Element, name: str) -> Egress:
    node = ours.find(f"{_OURS}egress")
    if node is None:
        return Egress.ALL
    try:
        egress = Egress(node.get("to"))
    except ValueError:
        raise reader.broken(f"has the unknown egress {node.get('to')!r}") from None
    if node.get("port") != port_of(name):
        raise reader.broken(f"limits the egress of {node.get('port')!r}, not its own")
    return egress


def _exposed(reader: _Reader, ours: etree._Element) -> Iterator[Exposed]:
    for node in ours.iterfind(f"{_OURS}exposed"):
        try:
            at, port = (check_port(node.get(each)) for each in ("at", "port"))
            yield Exposed(at, port, _read_label(node))
        except (BadInput, ValueError):
            raise reader.broken("exposes a port that there is not") from None


def _ids(reader: _Reader, ours: etree._Element, privileged: bool) -> IdRange | None:
    node = ours.find(f"{_OURS}ids")
    if privileged != (node is None):
        raise reader.broken("says privileged but has <ids>" if privileged else "lacks <ids>")
    if node is None:
        return None
    first, count = (number(node.get(each)) for each in ("start", "count"))
    if first is None or count is None:
        raise reader.broken("has <ids> that are not numbers")
    ids = IdRange(first, count)
    if ids.start <= 0 or ids.count <= 0 or ids.stop > 2**32:
        raise reader.broken(f"has ids no host can have: {ids.start} to {ids.stop - 1}")
    return ids


def _additions(reader: _Reader, ours: etree._Element) -> Iterator[Addition]:
    for node in ours.iterfind(f"{_OURS}addition"):
        access = tuple(node.get("access").split())
        thing, kind = node.get("object"), node.get("kind") or ""
        known = (_WORD if kind else _LABEL).fullmatch(thing)
        if not known or not all(_WORD.fullmatch(word) for word in (kind, *access)):
            raise reader.broken(f"has an addition that is no rule: {thing} {kind} {access}")
        yield Addition(thing, kind, access)


def _port(end: Link | Served) -> dict[str, str]:
    return {"port": str(end.port), "protocol": end.protocol.value, **_label(end)}


def _label(end: Link | Served | Exposed) -> dict[str, str]:
    return {"label": end.label} if end.label else {}


def _links(reader: _Reader, ours: etree._Element) -> Iterator[Link]:
    for node in ours.iterfind(f"{_OURS}link"):
        to = node.get("to")
        try:
            yield Link(check_name(to), *_read_port(node))
        except (BadInput, ValueError):
            raise reader.broken(f"has a link to {to} without a port that there is") from None


def _served(reader: _Reader, ours: etree._Element) -> Iterator[Served]:
    for node in ours.iterfind(f"{_OURS}served"):
        try:
            yield Served(*_read_port(node))
        except (BadInput, ValueError):
            raise reader.broken("serves a port that there is not") from None


def _read_port(node: etree._Element) -> tuple[int, Transport, str]:
    """Port, protocol and label; raises `BadInput` or `ValueError`."""
    return check_port(node.get("port")), Transport(node.get("protocol")), _read_label(node)


def _read_label(node: etree._Element) -> str:
    """That of a port; raises `ValueError`."""
    label: str = node.get("label", "")
    if not _WORD.fullmatch(label):
        raise ValueError(label)
    return label


def _limits(reader: _Reader, domain: etree._Element, ours: etree._Element, name: str) -> Limits:
    node = ours.find(f"{_OURS}limits")
    texts = {field: node.get(word) for field, word in _KEPT.items()} if node is not None else {}
    numbers: dict[str, int] = {}
    for field, text in texts.items():
        if text:
            amount = number(text)
            if amount is None:
                raise reader.broken(f"has a limit that is no number: {text}")
            numbers[field] = amount
    return Limits(
        memory_mib=described.memory(domain, name), vcpus=described.vcpus(domain, name), **numbers
    )


def _mapped(reader: _Reader, domain: etree._Element, ours: etree._Element) -> set[str]:
    """Sources of mounts with the host's ids."""
    mapped = {node.get("source", "") for node in ours.iterfind(f"{_OURS}idmap")}
    if mapped and (ours.get("kind") == "privileged" or mapped - described.sources(domain)):
        raise reader.broken("maps the ids of what it does not mount, or has the host's")
    return mapped


def _add(parent: etree._Element, tag: str, **attributes: str) -> None:
    known = ELEMENTS[tag]
    assert known.must.keys() <= attributes.keys() <= known.must.keys() | known.may.keys(), tag
    etree.SubElement(parent, f"{_OURS}{tag}", attributes)
