"""Tables in docstrings: two columns between lines of `=`, as reStructuredText has them."""

from __future__ import annotations

import re

_RULE = re.compile(r"(=+) (=+)")


def rows(docstring: str) -> list[tuple[str, str]]:
    """What stands beneath the titles; a row whose first column is empty goes on with the last."""
    found: list[tuple[str, str]] = []
    rules, start = 0, 0
    for line in docstring.splitlines():
        if rule := _RULE.fullmatch(line.strip()):
            rules, start = rules + 1, len(rule[1]) + 1
        elif rules == 2:
            first, second = line[:start].strip(), line[start:].strip()
            if first or not found:
                found.append((first, second))
            else:
                found[-1] = (found[-1][0], f"{found[-1][1]} {second}")
    return found


def prose(docstring: str) -> list[str]:
    """The paragraphs that are no table, each in one line."""
    parts = re.split(r"\n\s*\n", docstring)
    return [" ".join(part.split()) for part in parts if not _RULE.match(part.strip())]
