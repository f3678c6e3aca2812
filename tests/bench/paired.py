"""Two ways to do one thing, by turns in one run: what counts is the ratio of the two."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: some work, what it is held against, and what was measured.

    `ours` and `theirs` are seconds, or what is done in a second where `most` is set: then more is
    better, and `limit` is the least that their ratio may be.
    """

    work: str
    against: str
    limit: float
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    most: bool = False

    @property
    def ratio(self) -> float:
        """The medians' ratio, ours by theirs."""
        return statistics.median(self.ours) / statistics.median(self.theirs)

    @property
    def reached(self) -> bool:
        """Whether the ratio is what it must be."""
        return self.ratio >= self.limit if self.most else self.ratio <= self.limit

    def document(self) -> dict[str, Any]:
        """What the JSON has of it."""
        return {
            "work": self.work,
            "against": self.against,
            "at_least" if self.most else "at_most": self.limit,
            "ours": self.ours,
            "theirs": self.theirs,
            "ratio": round(self.ratio, 3),
            "reached": self.reached,
        }


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def by_turns(
    ours: Callable[[], object], theirs: Callable[[], object], times: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Seconds of each, `times` times, one after the other; the first of each is not counted."""
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(times + 1)][1:]
    return tuple(each[0] for each in pairs), tuple(each[1] for each in pairs)
