"""One thing that must be true, and what is wrong when it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from virtsec.errors import VirtsecError


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong and what to do about it; `fix` does it, where that is safe."""

    sentence: str
    remedy: str
    fix: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """`look` finds a fault, or None when it `holds`; a `VirtsecError` of its is a fault, too."""

    id: str
    holds: str  #: what is true when there is no fault, a sentence
    look: Callable[[], Fault | None]


@dataclass(frozen=True, slots=True)
class Checked:
    """A check, and how it came out."""

    subject: str  #: 'host', or a container's name
    id: str  #: the same in every version
    good: bool  #: now, mended or not
    sentence: str  #: what is true, or what is wrong
    remedy: str  #: what to do; empty when it is good
    fixable: bool  #: `--fix` would mend it
    fixed: bool  #: it has just been mended


def examine(subject: str, checks: Iterable[Check], *, fix: bool) -> Iterator[Checked]:
    """Look at each, and with `fix` mend what can safely be mended."""
    for check in checks:
        fault = _look(check)
        mended = False
        if fix and fault is not None and fault.fix is not None:
            try:
                fault.fix()
            except (VirtsecError, OSError) as error:
                why, remedy = _told(error)
                fault = Fault(f"{fault.sentence} It could not be mended: {why}", remedy)
            else:
                fault = _look(check)
                mended = fault is None
        if fault is None:
            yield Checked(subject, check.id, True, check.holds, "", False, mended)
        else:
            fixable = fault.fix is not None
            yield Checked(subject, check.id, False, fault.sentence, fault.remedy, fixable, False)


def _look(check: Check) -> Fault | None:
    try:
        return check.look()
    except (VirtsecError, OSError) as error:
        return Fault(*_told(error))


def _told(error: VirtsecError | OSError) -> tuple[str, str]:
    """What went wrong, and what to do about it."""
    if isinstance(error, VirtsecError):
        return error.sentence, error.remedy
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}.", "Mend that, then run `virtsec doctor` again."
