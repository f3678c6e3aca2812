"""Numbers that somebody else wrote: decimal digits and nothing else.

int() also takes blanks, underscores and the digits of every script, which neither the hook nor
libvirt does, and gives up with a `ValueError` of its own at some thousand digits.
"""

from __future__ import annotations

_MOST_DIGITS = 20  # of 2**64


def number(text: str) -> int | None:
    """The number that `text` is; None for any other text."""
    plain = text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS
    return int(text) if plain else None
