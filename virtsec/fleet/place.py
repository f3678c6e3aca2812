"""Where something is in a fleet file."""

from __future__ import annotations

#: Keys and indices from the top.
Place = tuple[str | int, ...]


def upwards(place: Place) -> list[Place]:
    """A place and all that it is in, itself first."""
    return [place[:length] for length in range(len(place), -1, -1)]
