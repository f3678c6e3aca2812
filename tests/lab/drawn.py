"""What tests draw by chance, and draw again by the same seed."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Chance:
    """A source of chance."""

    random: Random

    def some(self, among: Sequence[T], count: int) -> list[T]:
        """So many of them at most, in their order."""
        chosen = self.random.sample(range(len(among)), min(count, len(among)))
        return [among[index] for index in sorted(chosen)]
