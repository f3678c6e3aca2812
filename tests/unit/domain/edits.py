"""Strategies for domains that somebody has edited: virtsec's own, and as libvirt prints them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from hypothesis import strategies as st
from lxml import etree

from tests.unit.samples import GOLDEN, SAMPLES
from virtsec.runtime.start import NAMESPACE

OURS, LXC = NAMESPACE, "http://libvirt.org/schemas/domain/lxc/1.0"

#: Names of golden files, as virtsec writes them and as libvirt prints them.
FILES = sorted(
    [f"{name}.xml" for name in SAMPLES] + [f"libvirt/{name}.xml" for name in SAMPLES],
)
VALUES = [
    *("", " ", "/", "/proc", "//", "..", "/sbin/init", "/sbin/./init", "none", "dynamic", "static"),
    *("selinux", "smack", "mount", "bind", "ram", "bridge", "network", "ethernet", "direct"),
    *("on", "off", "deny", "allow", "yes", "own", "pristine", "category", "lan", "exe", "lxc"),
    *("0", "1", "64", " 64 ", "٦٤", "6_4", "-1", "1e3", "0x40", "9" * 30, "9" * 5000, "65536"),
    *("vs1", "vs2", "vs-vs1", "é", "\u2028", "a\nfiles 9", "\t", "vs1_t", "(allow", "a!b"),
    *("../_bases/web/1/tree", "../_bases/../1/tree", "/var/lib/virtsec/vs1/rootfs"),
    "/usr/libexec/virtsec/controller",
]
TAGS = [
    *("disk", "hostdev", "seclabel", "label", "filesystem", "source", "target", "interface"),
    *("idmap", "uid", "gid", "name", "init", "emulator", "metadata", "capabilities", "mac_admin"),
    *("mknod", "privnet", "partition", "memory", "readonly", "title"),
    *(f"{{{OURS}}}{tag}" for tag in ("container", "base", "idmap", "egress", "limits", "ids")),
    *(f"{{{OURS}}}{tag}" for tag in ("label", "addition", "link", "exposed", "before")),
    f"{{{LXC}}}namespace",
    "{urn:virtsec:other}container",
    "{urn:other}container",
]
NAMES = ["type", "model", "dir", "dev", "path", "policy", "kind", "start", "count", "target",
         "files", "inotify", "pids", "port", "to", "tree", "scratch", "source", "state", "version",
         "process", "file", "init", "network", "bridge", "address", "prefix", "apart"]  # fmt: skip


@dataclass(frozen=True)
class Edit:
    """One change; the numbers choose where, the words what."""

    kind: str
    at: int
    other: int
    value: str
    tag: str
    name: str


Tree: TypeAlias = etree._Element
EDITS: dict[str, Callable[[Tree, Tree, Tree, Edit], None]] = {}


def edit(change: Callable[[Tree, Tree, Tree, Edit], None]) -> None:
    """A kind of edit: the document, an element in it, its parent, and the rest."""
    EDITS[change.__name__] = change


@edit
def remove(_tree: Tree, element: Tree, parent: Tree, _edit: Edit) -> None:
    parent.remove(element)


@edit
def double(_tree: Tree, element: Tree, parent: Tree, _edit: Edit) -> None:
    parent.append(copy.deepcopy(element))


@edit
def beside(_tree: Tree, element: Tree, parent: Tree, edit: Edit) -> None:
    parent.insert(parent.index(element), etree.Element(edit.tag))


@edit
def move(tree: Tree, element: Tree, parent: Tree, edit: Edit) -> None:
    places = [each for each in tree.iter(etree.Element) if element not in each.iterancestors()]
    place = places[edit.other % len(places)]
    if place is not element and element not in place.iterancestors():
        place.insert(edit.other % (len(place) + 1), element)


@edit
def reorder(_tree: Tree, _element: Tree, parent: Tree, edit: Edit) -> None:
    children = list(parent)
    turn = edit.other % len(children)
    for child in [*children[turn:], *children[:turn]]:
        parent.append(child)


@edit
def add(_tree: Tree, element: Tree, _parent: Tree, edit: Edit) -> None:
    etree.SubElement(element, edit.tag, {edit.name: edit.value})


@edit
def rename(_tree: Tree, element: Tree, _parent: Tree, edit: Edit) -> None:
    element.tag = edit.tag


@edit
def text(_tree: Tree, element: Tree, _parent: Tree, edit: Edit) -> None:
    element.text = edit.value


@edit
def attribute(_tree: Tree, element: Tree, _parent: Tree, edit: Edit) -> None:
    if element.attrib:
        element.set(sorted(element.attrib)[edit.other % len(element.attrib)], edit.value)


@edit
def new_attribute(_tree: Tree, element: Tree, _parent: Tree, edit: Edit) -> None:
    element.set(edit.name, edit.value)


@edit
def no_attribute(_tree: Tree, element: Tree, _parent: Tree, edit: Edit) -> None:
    if element.attrib:
        del element.attrib[sorted(element.attrib)[edit.other % len(element.attrib)]]


@edit
def of_a_namespace(_tree: Tree, element: Tree, _parent: Tree, edit: Edit) -> None:
    if element.attrib:
        name = sorted(element.attrib)[edit.other % len(element.attrib)]
        value = element.attrib.pop(name)
        element.set(f"{{{OURS}}}{etree.QName(name).localname}", value)


@edit
def case(_tree: Tree, element: Tree, _parent: Tree, edit: Edit) -> None:
    if edit.other % 2 and element.text:
        element.text = element.text.swapcase()
    else:
        name = etree.QName(element)
        element.tag = etree.QName(name.namespace, name.localname.swapcase()).text


@edit
def comment(_tree: Tree, element: Tree, _parent: Tree, edit: Edit) -> None:
    """In the middle of its text, where it has one."""
    before, after = _halves(element, edit.other)
    element.text = before
    node = etree.Comment("virtsec") if edit.at % 2 else etree.ProcessingInstruction("virtsec")
    node.tail = after
    element.insert(0, node)


@edit
def cdata(_tree: Tree, element: Tree, _parent: Tree, _edit: Edit) -> None:
    if element.text:
        element.text = etree.CDATA(element.text)


@edit
def blanks(_tree: Tree, element: Tree, _parent: Tree, edit: Edit) -> None:
    before, after = _halves(element, edit.other)
    element.text = f"{before}{[' ', chr(10), chr(9)][edit.at % 3]}{after}"


def _halves(element: Tree, at: int) -> tuple[str, str]:
    found = element.text or ""
    cut = at % (len(found) + 1)
    return found[:cut], found[cut:]


def edited(tree: Tree, edits: list[Edit]) -> None:
    """Do them, one after the other."""
    for each in edits:
        pairs = [
            (parent, child)
            for parent in tree.iter(etree.Element)
            for child in parent.iterchildren(etree.Element)
        ]
        # Half of them are about the metadata: it is a small part, and the one that all rests on.
        ours = [(parent, child) for parent, child in pairs if OURS in f"{parent.tag}{child.tag}"]
        among = ours if ours and each.at % 2 else pairs
        if not among:
            return
        parent, element = among[(each.at // 2) % len(among)]
        EDITS[each.kind](tree, element, parent, each)


EDIT = st.builds(
    Edit,
    kind=st.sampled_from(sorted(EDITS)),
    at=st.integers(0, 500),
    other=st.integers(0, 500),
    value=st.sampled_from(VALUES),
    tag=st.sampled_from(TAGS),
    name=st.sampled_from(NAMES),
)
#: What no tree shows: done to the text.
WRAPPED = [
    "{}",
    "<?xml version='1.0' encoding='latin-1'?>{}",
    "<?xml version='1.0' encoding='utf-8'?>{}",
    "<!DOCTYPE domain>{}",
    "<!DOCTYPE domain [<!ENTITY a 'b'>]>{}",
    "\ufeff{}",
    " {}",
    "<!-- virtsec -->{}<!-- virtsec -->",
    "<?virtsec?>{}",
    "{}&amp;",
    "<domains>{}</domains>",
]


@st.composite
def edited_domains(draw: st.DrawFn) -> tuple[str, str]:
    """A name, and the XML of a domain that has it or had it."""
    file = draw(st.sampled_from(FILES))
    tree = etree.fromstring((GOLDEN / file).read_bytes())
    name = tree.findtext("name") or ""
    edited(tree, draw(st.lists(EDIT, max_size=3)))
    xml: str = etree.tostring(tree, encoding="unicode")
    frame = draw(st.sampled_from(WRAPPED)) if draw(st.integers(0, 9)) == 0 else "{}"
    return name, frame.replace("{}", xml)
