"""What a security module refused a container, and what would come of allowing it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from virtsec.spec import Addition


@dataclass(frozen=True, slots=True)
class Denial:
    """One refusal, as the kernel's record of it says."""

    object: str  #: the label of what was acted on: a whole context under SELinux
    kind: str  #: its class under SELinux; empty under Smack
    access: frozenset[str]
    program: str  #: what tried it, by the name of its task
    thing: str  #: what it was, such as a path or a port; empty when the record does not say
    constrained: bool = False  #: no rule would allow it: categories keep it apart


@dataclass(frozen=True, slots=True)
class Weighed:
    """The smallest addition that would have allowed some refusals, and what it would mean."""

    addition: Addition
    risk: str  #: what it would let the container do, a sentence
    breaks: str  #: why it is never made: the promise it would break; empty when it can be made
    instead: str  #: what to do instead, where it is never made
    times: int  #: refusals it would have allowed
    programs: tuple[str, ...]  #: what tried it
    things: tuple[str, ...]  #: what they tried it on, such as paths and ports


def grouped(denials: Iterable[Denial]) -> dict[tuple[str, str], list[Denial]]:
    """The refusals by what was acted on, label and class, in order."""
    found: dict[tuple[str, str], list[Denial]] = {}
    for each in denials:
        found.setdefault((each.object, each.kind), []).append(each)
    return dict(sorted(found.items()))


def weighed(
    addition: Addition, denials: Iterable[Denial], risk: str, breaks: str, instead: str
) -> Weighed:
    """Put together what came of one group."""
    them = list(denials)
    return Weighed(
        addition,
        risk,
        breaks,
        instead if breaks else "",
        len(them),
        tuple(sorted({each.program for each in them if each.program})),
        tuple(sorted({each.thing for each in them if each.thing})),
    )
