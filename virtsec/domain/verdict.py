"""What the hook will think of a definition, asked before anybody starts it.

The verdict is the hook's own code: planner, `info` and hook never disagree. What only a start can
tell (the files on disk, whether the security module runs) is left to the start.
"""

from __future__ import annotations

from virtsec.runtime.checks import CHECKS
from virtsec.runtime.domain import parse
from virtsec.runtime.refusal import Refused
from virtsec.runtime.start import start_of


def differences(name: str, xml: str) -> tuple[str, ...]:
    """Why the hook would refuse to start `xml`; a sentence each, or none; pure."""
    found = []
    try:
        start = start_of(name, parse(xml.encode()))
    except Refused as refusal:
        return (_sentence(refusal),)
    if start is None:
        return ()
    for check in CHECKS:
        try:
            check(start)
        except Refused as refusal:
            found.append(_sentence(refusal))
    return tuple(found)


def _sentence(refusal: Refused) -> str:
    return f"{refusal.sentence[:1].upper()}{refusal.sentence[1:]}."
