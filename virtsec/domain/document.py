"""Reading XML that anybody may have edited, with lxml made harmless.

No entities, no network, no DTD, libxml2's own limits on size and depth in force.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from lxml import etree

from virtsec.errors import BadInput


def parse(text: str, what: str) -> etree._Element:
    """The root element of `text`; raises `BadInput` naming `what` when it is not XML.

    Comments are left out, for they part a text in two; those in `<metadata>` are somebody's.
    """
    try:
        root: etree._Element = etree.fromstring(text.encode(), _parser())
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadInput(
            f"{what} is not XML: {error}.", "Compare it with what `virsh dumpxml` writes."
        ) from None
    for child in root if "<!--" in text or "<?" in text else ():
        if child.tag != "metadata":  # libvirt itself keeps no others
            etree.strip_tags(child, etree.Comment, etree.ProcessingInstruction)
    return root


def template(path: Path) -> etree._Element:
    """The root element of one of virtsec's own templates, its comments and blanks left out."""
    return etree.parse(path, _parser(tidy=True)).getroot()


def tidied(root: etree._Element) -> str:
    """`root` as text whose lines and blanks say nothing but how it nests."""
    return serialise(etree.fromstring(etree.tostring(root), _parser(tidy=True)))


def serialise(root: etree._Element) -> str:
    """`root` as indented text."""
    text: str = etree.tostring(root, pretty_print=True, encoding="unicode")
    return text


@cache
def _parser(tidy: bool = False) -> etree.XMLParser:
    return etree.XMLParser(
        encoding="utf-8",  # whatever it says of itself: it was text when it came to us
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=tidy,
        remove_pis=tidy,
        remove_blank_text=tidy,
    )
