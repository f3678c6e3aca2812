"""Choosing a pair of categories that no other domain on the host has.

1,024 categories give 523,776 pairs. The search starts at a place that follows from the name, so two
hosts rarely give the same pair to different names, and goes on to the next pair until one is free:
on a host with 10,000 containers almost always the first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from itertools import combinations

from virtsec.errors import Failed
from virtsec.mac.selinux.context import CATEGORY_COUNT, categories_of

PAIRS = CATEGORY_COUNT * (CATEGORY_COUNT - 1) // 2
#: A level with more categories than this (such as c0.c1023) is a clearance over all, not a pair.
_CLEARANCE = 16


def pair_at(index: int) -> tuple[int, int]:
    """Pair number `index` (0 to PAIRS - 1) as (A, B) with A < B: (0,1), (0,2), (1,2), (0,3)…"""
    # The largest B with B (B - 1) / 2 <= index, in whole numbers.
    high = 1
    low, top = 1, CATEGORY_COUNT - 1
    while low <= top:
        middle = (low + top) // 2
        if middle * (middle - 1) // 2 <= index:
            high, low = middle, middle + 1
        else:
            top = middle - 1
    return index - high * (high - 1) // 2, high


def taken_pairs(contexts: Iterable[str]) -> set[tuple[int, int]]:
    """Every pair that a process with one of `contexts` dominates."""
    pairs: set[tuple[int, int]] = set()
    for context in contexts:
        categories = categories_of(context)
        if len(categories) <= _CLEARANCE:
            pairs.update(combinations(sorted(categories), 2))
    return pairs


def choose_pair(name: str, taken: Collection[tuple[int, int]]) -> tuple[int, int]:
    """A pair for `name` that is not taken. Raises `Failed` when all 523,776 are."""
    start = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % PAIRS
    for step in range(PAIRS):
        pair = pair_at((start + step) % PAIRS)
        if pair not in taken:
            return pair
    raise Failed(
        "Every pair of SELinux categories is taken by some domain.",
        "Undefine containers that are no longer needed.",
    )
