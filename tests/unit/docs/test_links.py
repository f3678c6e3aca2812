"""Links in what is written for people lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TREE = Path(__file__).parents[3]
PAGES = [TREE / "README.md", *sorted((TREE / "docs").rglob("*.md"))]
#: `[text](target)` and `[name]: target`; also what SVG and HTML within Markdown have.
LINK = re.compile(r"\]\(<?([^)\s>]+)|^\[[^]]+\]:\s*(\S+)|\b(?:href|src)=\"([^\"]+)\"", re.MULTILINE)
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def prose(page: Path) -> str:
    """What is no code."""
    text = re.sub(r"^(```|~~~).*?^\1", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^(?: {4}|\t).*$", "", text, flags=re.MULTILINE)


def targets(page: Path) -> Iterator[str]:
    """Where its links lead within the tree."""
    for found in LINK.finditer(prose(page)):
        target = next(filter(None, found.groups()))
        if not ELSEWHERE.match(target):
            yield target


@cache
def anchors(page: Path) -> frozenset[str]:
    """What GitHub calls its headings: a second one of a name gets `-1`."""
    seen: dict[str, int] = {}
    found = set()
    for title in re.findall(r"^#{1,6} +(.*?) *#*$", prose(page), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if name in seen else name)
        seen[name] = seen.get(name, 0) + 1
    return frozenset(found | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", prose(page))))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(TREE)))
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page: Path) -> None:
    for target in targets(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert there.is_relative_to(TREE), f"{target} leads out of the tree"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there), target


def test_readme_leads_to_every_page_by_itself_or_by_others() -> None:
    found, new = set(), {TREE / "README.md"}
    while new:
        found |= new
        led = {
            (page.parent / target.partition("#")[0]).resolve()
            for page in new
            for target in targets(page)
        }
        new = {each for each in led if each.suffix == ".md"} - found
    assert {*PAGES} - found == set()


def test_links_are_found_where_there_are_some(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        '# A `b` (c)\n\n## Twice\n\n## Twice\n\n[x](#a-b-c) ![y](z.svg) <img src="w.svg">\n'
        "```\n[no](no.md)\n# no\n```\n\n    [no](no.md)\n\n[h](https://x.org/) [r]\n\n[r]: r.md#s\n"
    )
    assert list(targets(page)) == ["#a-b-c", "z.svg", "w.svg", "r.md#s"]
    assert anchors(page) == {"a-b-c", "twice", "twice-1"}
