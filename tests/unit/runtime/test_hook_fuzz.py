"""Whatever is done to a good domain's XML: refused in a sentence, or still what confines."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.runtime.runtime_samples import KINDS, good
from virtsec.runtime.checks import KEEP, judged
from virtsec.runtime.domain import parse
from virtsec.runtime.refusal import Refused
from virtsec.runtime.start import NAMESPACE

#: Pieces that mean something to a parser or to the hook.
PIECES = [
    *(
        "<",
        ">",
        "/>",
        "&amp;",
        "&#0;",
        "&x;",
        "]]>",
        "<![CDATA[",
        "<!--",
        "-->",
        "<?x?>",
        "\0",
        "é",
    ),
    *(
        "state='on'",
        "state='off'",
        "type='none'",
        "<seclabel type='none'/>",
        "<privnet/>",
        "..",
        "/",
    ),
    *("<capabilities>", "<mac_admin/>", "<idmap/>", "<lxc:namespace/>", "<disk/>", "vs2", "'", '"'),
]


def confinement(xml: str) -> object:
    """What a start may not differ in, read by another parser than the hook's."""
    domain = ET.fromstring(xml)

    def texts(path: str) -> list[str]:
        return [(element.text or "").strip() for element in domain.findall(path)]

    def attributes(path: str, *names: str) -> list[list[str | None]]:
        return [[element.get(name) for name in names] for element in domain.findall(path)]

    capabilities = domain.findall("features/capabilities/*")
    return (
        domain.get("type"),
        *(texts(path) for path in ("name", "devices/emulator", "os/type", "os/init")),
        [*texts("seclabel/label"), *attributes("seclabel", "type", "model")],
        [[each.tag, *each.attrib.items()] for each in domain.findall("idmap/*")],
        attributes("features/capabilities", "policy"),
        {each.tag for each in capabilities if each.get("state") != "off"} <= set(KEEP),
        [
            each.find("source").get("dir")  # type: ignore[union-attr]
            for each in domain.findall("devices/filesystem[@type='mount']")
            if each.find("target").get("dir") == "/"  # type: ignore[union-attr]
        ],
        domain.findall("devices/disk") + domain.findall("devices/hostdev"),
        bool(domain.findall("devices/interface") + domain.findall("features/privnet")),
        {kind for [kind] in attributes("devices/interface", "type")} <= {"network", "bridge"},
        [child.tag for child in domain if "lxc" in child.tag],
    )


def assert_refused_or_confined(kind: str, xml: str) -> None:
    try:
        start = judged("vs1", parse(xml.encode()))
    except Refused as refusal:
        assert refusal.sentence
        return
    assert start, "a domain of ours was taken for another's"
    assert confinement(xml) == confinement(good(kind))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=200, deadline=None)
@given(
    edits=st.lists(
        st.tuples(st.floats(0, 0.99), st.integers(0, 60), st.sampled_from(["", *PIECES])),
        min_size=1,
        max_size=4,
    )
)
def test_edits_of_its_text(kind: str, edits: list[tuple[float, int, str]]) -> None:
    xml = good(kind)
    for place, length, piece in edits:
        start = int(place * len(xml))
        xml = xml[:start] + piece + xml[start + length :]
    assert_refused_or_confined(kind, xml)


VALUES = [
    "",
    "/",
    "/proc",
    "//",
    "none",
    "dynamic",
    "on",
    "off",
    "0",
    "1",
    "vs2",
    "allow",
    "ethernet",
]
OPERATIONS = ["remove", "double", "text", "attribute", "rename", "move"]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=400, deadline=None)
@given(
    edits=st.lists(
        st.tuples(
            st.sampled_from(OPERATIONS),
            st.integers(0, 500),
            st.integers(0, 500),
            st.sampled_from(VALUES),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_edits_of_its_elements(kind: str, edits: list[tuple[str, int, int, str]]) -> None:
    tree = ET.fromstring(good(kind))
    for operation, index, other, value in edits:
        pairs = [(parent, child) for parent in tree.iter() for child in parent]
        parent, element = pairs[index % len(pairs)]
        if operation == "remove":
            parent.remove(element)
        elif operation == "double":
            parent.append(element)
        elif operation == "text":
            element.text = value
        elif operation == "attribute" and element.attrib:
            element.set(sorted(element.attrib)[other % len(element.attrib)], value)
        elif operation == "rename":
            tags = ["disk", "hostdev", *(child.tag for _, child in pairs)]
            element.tag = tags[other % len(tags)]
        elif operation == "move":
            parent.remove(element)
            tree.insert(other % (len(tree) + 1), element)
    if any(child.tag == f"{{{NAMESPACE}}}container" for child in tree.findall("metadata/*")):
        assert_refused_or_confined(kind, ET.tostring(tree, encoding="unicode"))
