"""What the controller takes for a container's addresses are those lxml finds, in any document."""

from __future__ import annotations

import pyexpat

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from virtsec.runtime import ethernet

WHERE = "/domstatus/domain/devices/interface/mac"
NAMES = ["domstatus", "domain", "devices", "interface", "mac", "metadata", "{urn:a}mac", "{urn:a}x"]


def element(name: str, address: str | None, children: list[etree._Element]) -> etree._Element:
    made = etree.Element(name)
    if address is not None:
        made.set("address", address)
    made.extend(children)
    return made


def elements(depth: int) -> st.SearchStrategy[etree._Element]:
    """Elements as deep as those that are asked for, most of them called so at each depth."""
    names = st.one_of(st.just(NAMES[5 - depth]), st.sampled_from(NAMES))
    below = st.lists(elements(depth - 1), max_size=3) if depth > 1 else st.just([])
    return st.builds(element, names, st.sampled_from(["52:54:00:00:00:01", "", "<'\""]), below)


def found(text: str) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ethernet, "read", lambda _: text)
        return ethernet.addresses_of("vs1")


@given(elements(5))
def test_they_are_those_of_its_interfaces_and_no_others(root: etree._Element) -> None:
    text = etree.tostring(root, encoding="unicode")
    assert found(text) == [str(each.get("address")) for each in root.xpath(WHERE)]


@given(st.one_of(st.text(), st.binary().map(lambda data: data.decode(errors="surrogateescape"))))
def test_what_is_no_document_names_none(text: str) -> None:
    with pytest.raises((pyexpat.ExpatError, UnicodeError)):
        found(text)
