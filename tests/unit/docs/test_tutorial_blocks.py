"""How docs/tutorial.md is read and compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lab.tutorial import Typed, difference, section

TREE = Path(__file__).parents[3]

DOCUMENT = """# Title
## Before
```console
# not this
```
## One
Words.
```console
# first --option \\
    word
printed
 more

# second
```
### Deeper
```
# no console
```
```console
# third
…
```
## Two
```console
# fourth
```
"""


def test_commands_of_a_section_come_in_order_with_what_they_print() -> None:
    assert section(DOCUMENT, "One") == [
        Typed(9, "first --option \\\n    word", ("printed", " more", "")),
        Typed(14, "second", ()),
        Typed(21, "third", ("…",)),
    ]
    assert [each.command for each in section(DOCUMENT, "Two")] == ["fourth"]


@pytest.mark.parametrize(
    "document",
    [
        "## One\n```console\nprinted\n```\n",
        "## One\n```console\n# a\n```\n```console\nprinted by nothing\n```\n",
        "## One\n```console\n# a\n",
        "## One\nNothing.\n## Two\n```console\n# a\n```\n",
        "## Two\n```console\n# a\n```\n",
    ],
)
def test_what_could_not_be_run_is_an_error(document: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        section(document, "One")


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ((), ""),
        (("a", "b"), "a\nb\n"),
        (("a  ", ""), "a\n\n\n"),
        (("runs as …:c…,c….",), "runs as system_u:c1,c2.\n"),
        (("…", "end"), "end\n"),
        (("…", "end"), "one\ntwo\nend\n"),
        (("a (b) [c].*",), "a (b) [c].*\n"),
        (("…",), ""),
    ],
)
def test_what_is_as_the_document_says_is_no_difference(
    expected: tuple[str, ...], printed: str
) -> None:
    assert difference(expected, printed) == ""


@pytest.mark.parametrize(
    ("expected", "printed"),
    [
        ((), "more\n"),
        (("a",), ""),
        (("a",), "a\nb\n"),
        (("a", "b"), "b\na\n"),
        (("a…z",), "a\nz\n"),
        (("…", "end"), "end\nmore\n"),
        (("a.c",), "abc\n"),
        ((" a",), "a\n"),
    ],
)
def test_what_is_otherwise_is_shown(expected: tuple[str, ...], printed: str) -> None:
    shown = difference(expected, printed)
    assert shown
    for line in printed.splitlines():
        assert line in shown


def test_the_tutorial_tells_one_story_under_either_module() -> None:
    document = (TREE / "docs/tutorial.md").read_text("utf-8")
    for title in ("Under SELinux", "Under Smack"):
        commands = "\n".join(each.command for each in section(document, title))
        for part in ("define vs1", "define vs2", "start vs1 vs2", "curl", "ssh ", "kill -9 -1",
                     "/mnt/etc/shadow", "/lib/systemd/systemd", "undefine"):  # fmt: skip
            assert part in commands, f"{title}: {part}"


def test_every_command_of_the_tutorial_is_run() -> None:
    """No prompt stands outside of what the test of the laboratory reads."""
    document = (TREE / "docs/tutorial.md").read_text("utf-8")
    blocks = re.findall(r"^```(.*?)\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)
    assert {kind for kind, _ in blocks} == {"console"}
    prompts = sum(len(re.findall(r"^# ", text, re.MULTILINE)) for _, text in blocks)
    run = sum(len(section(document, title)) for title in ("Under SELinux", "Under Smack"))
    assert run == prompts
