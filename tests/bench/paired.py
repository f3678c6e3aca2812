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

    `floor` is seconds that the least possible takes: what cannot be left out, and nothing else. A
    limit below it cannot be reached.
    """

    work: str
    against: str
    limit: float
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    most: bool = False
    floor: tuple[float, ...] = ()

    @property
    def ratio(self) -> float:
        """The medians' ratio, ours by theirs."""
        return statistics.median(self.ours) / statistics.median(self.theirs)

    @property
    def least(self) -> float:
        """The ratio of the least possible; 0 where none was measured."""
        if not self.floor:
            return 0.0
        return statistics.median(self.floor) / statistics.median(self.theirs)

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
            "floor": self.floor,
            "least": round(self.least, 3),
            "ratio": round(self.ratio, 3),
            "reached": self.reached,
        }


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def by_turns(times: int, *sides: Callable[[], object]) -> tuple[tuple[float, ...], ...]:
    """Seconds of each, `times` times, one after the other; the first of each is not counted."""
    turns = [tuple(seconds(side) for side in sides) for _ in range(times + 1)][1:]
    return tuple(zip(*turns, strict=True))
