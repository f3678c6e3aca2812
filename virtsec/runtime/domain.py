"""A domain's XML as libvirt hands it over, read without surprises.

Nothing outside the document is read, nothing in it is expanded, and its length, its elements and
how deep they nest are limited. What is asked for once must not be there twice: libvirt might take
the other one. Paths in it are compared by their components, and one with `..` in it is beneath
nothing.
"""

import pyexpat

from .refusal import Refused, require

XML_LIMIT, ELEMENT_LIMIT, DEPTH_LIMIT = 1 << 20, 10_000, 64  # bytes, all, those in each other
EDIT = "'virsh -c lxc:/// edit'"
PUT_BACK, TAKE_OUT = f"put it back with {EDIT}", f"take it out with {EDIT}"


class Element:
    """An element of the XML; a name in a namespace is 'URI NAME'."""

    __slots__ = ("attributes", "children", "name", "texts")

    def __init__(self, name: str, attributes: dict[str, str]) -> None:
        self.name, self.attributes = name, attributes
        self.children: list[Element] = []
        self.texts: list[str] = []

    def find(self, *path: str) -> "list[Element]":
        """All elements at `path`, which has a name for each level."""
        found = [self]
        for name in path:
            found = [child for parent in found for child in parent.children if child.name == name]
        return found

    def only(self, *path: str) -> "Element":
        """The one element at `path`, an empty one if there is none; Refused if there are more."""
        found = self.find(*path)
        if len(found) > 1:
            raise Refused(f"it has several elements {'/'.join(path)}; {PUT_BACK}")
        return found[0] if found else Element(path[-1], {})

    def get(self, attribute: str, *path: str) -> str:
        """An attribute of the one element at `path`; empty when either is not there."""
        return self.only(*path).attributes.get(attribute, "")

    def text(self, *path: str) -> str:
        """The text of the one element at `path`, that of elements in it too, as libvirt has it."""
        return "".join(self.only(*path).texts)


def parse(data: bytes) -> Element:
    """The root element of a document."""
    require(len(data) <= XML_LIMIT, f"its XML is longer than {XML_LIMIT} bytes; shorten it")
    elements = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal elements
        elements += 1
        if elements > ELEMENT_LIMIT:  # a sentence made for each element would take as long as it
            raise Refused(f"its XML has more than {ELEMENT_LIMIT} elements")
        if len(nesting) > DEPTH_LIMIT:
            raise Refused(f"its XML nests more than {DEPTH_LIMIT} elements")
        element = Element(name, attributes)
        nesting[-1].children.append(element)
        nesting.append(element)

    def end(_: str) -> None:
        ended = nesting.pop()
        nesting[-1].texts += ended.texts

    def text(data: str) -> None:
        nesting[-1].texts.append(data)

    def doctype(*_: object) -> None:
        raise Refused("its XML has a DOCTYPE, which libvirt never writes")

    nesting = [document := Element("", {})]
    parser = pyexpat.ParserCreate("utf-8", " ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(data, True)
    except pyexpat.ExpatError as error:
        raise Refused(f"its XML cannot be read ({error})") from None
    return document.children[0]


def parts(path: str) -> list[str]:
    """The components of an absolute path; none for '/', and for a path that is not plain."""
    found = [part for part in path.split("/") if part not in ("", ".")]
    return found if path.startswith("/") and ".." not in found else []


def beneath(path: str, *places: str) -> bool:
    """Whether `path` is one of `places` or beneath it."""
    return any(parts(path)[: len(parts(place))] == parts(place) for place in places)
