"""What all attacks on one container showed together."""

from __future__ import annotations

from dataclasses import dataclass

from virtsec.attacks.proof import Result
from virtsec.domain.links import Way


@dataclass(frozen=True, slots=True)
class Verified:
    """What attacking one container showed."""

    name: str
    against: str | None  #: the other container that was attacked
    model: str  #: the security module
    label: str  #: that its processes run with
    privileged: bool
    kernel: str  #: release of the host's
    held: bool  #: every attack that is proven to succeed elsewhere was refused
    links: tuple[Way, ...]  #: open between the two on purpose, and not counted as an attack
    counts: dict[str, int]  #: attacks by verdict
    results: tuple[Result, ...]
