"""docs/tutorial.md as what it is to be: commands, and what each of them prints.

Blocks of the document that are marked `console` hold them:

    # virtsec start vs1
    Started vs1 as ….
    …

A line that begins with `# ` is a command, as root types it; one that ends in a backslash goes on in
the next line. What follows, up to the next command or the block's end, is what it prints. `…` in a
line stands for any text without a line break, and a line that is `…` alone for any number of lines,
also none. Blanks at the end of a line and empty lines at the end of an output do not count.
"""

import difflib
import re
from dataclasses import dataclass

ANYTHING = "…"
PROMPT = "# "


@dataclass(frozen=True)
class Typed:
    """A command of the document and what it is to print; `line` is where it stands, from 1."""

    line: int
    command: str
    output: tuple[str, ...]


def section(document: str, title: str) -> list[Typed]:
    """The commands beneath the heading `title`, up to the next heading as high, in order.

    Raises ValueError for output without a command, for a block that does not end, and where there
    is no such heading or no command beneath it.
    """
    found: list[Typed] = []
    reached = in_block = console = False
    level, continued = "", False
    for number, line in enumerate(document.splitlines(), 1):
        if line.startswith("```"):
            in_block, console = not in_block, not in_block and line == "```console"
            continued, current = False, len(found)
        elif not in_block and line.startswith("#"):
            marks, _, words = line.partition(" ")
            if reached and len(marks) <= len(level):
                break
            if words == title:
                reached, level = True, marks
        elif reached and in_block and console:
            if continued:
                last = found[-1]
                found[-1] = Typed(last.line, f"{last.command}\n{line}", ())
                continued = line.endswith("\\")
            elif line.startswith(PROMPT):
                found.append(Typed(number, line.removeprefix(PROMPT), ()))
                continued = line.endswith("\\")
            elif len(found) == current:
                raise ValueError(f"line {number}: what prints this?")
            else:
                last = found[-1]
                found[-1] = Typed(last.line, last.command, (*last.output, line))
    if in_block:
        raise ValueError("a block does not end")
    if not found:
        raise ValueError(f"there is no command beneath {title!r}")
    return found


def difference(expected: tuple[str, ...], printed: str) -> str:
    """Empty where `printed` is what the document says, else how they differ, as diff has it."""
    said, got = trimmed(expected), trimmed(printed.splitlines())
    if pattern(said).fullmatch("".join(f"{line}\n" for line in got)):
        return ""
    return "\n".join(difflib.unified_diff(said, got, "docs/tutorial.md", "printed", lineterm=""))


def pattern(lines: list[str]) -> re.Pattern[str]:
    """What matches the lines that these stand for."""
    return re.compile(
        "".join(
            r"(?:.*\n)*"
            if line == ANYTHING
            else ".*".join(map(re.escape, line.split(ANYTHING))) + r"\n"
            for line in lines
        )
    )


def trimmed(lines: list[str] | tuple[str, ...]) -> list[str]:
    """Without what does not count."""
    kept = [line.rstrip() for line in lines]
    while kept and not kept[-1]:
        kept.pop()
    return kept
