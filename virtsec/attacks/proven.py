"""Which defences refuse an attack on their own.

`proven.json` is what a test of the laboratory saw: each attack succeeded with no defence at all,
and then failed with each of those named alone. An attack that is not there has not been seen to
succeed anywhere, so that it fails proves nothing, and it is not counted.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from virtsec.attacks.probe import Defence

PLACE = Path(__file__).with_name("proven.json")


def proven(model: str, *, privileged: bool) -> dict[str, tuple[Defence, ...]]:
    """By attack's id, the defences that refuse it alone, in the order the kernel asks them."""
    kind = "privileged" if privileged else "unprivileged"
    found: dict[str, list[str]] = json.loads(PLACE.read_text("utf-8")).get(model, {}).get(kind, {})
    return {
        identity: tuple(defence for defence in Defence if defence.value in names)
        for identity, names in found.items()
    }


def refused_by(alone: Collection[Defence], active: Collection[Defence]) -> Defence | None:
    """Which of the defences in force is asked first; None when none of them refuses it alone."""
    return next((each for each in Defence if each in alone and each in active), None)
