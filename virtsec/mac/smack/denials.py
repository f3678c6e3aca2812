"""Smack's refusals, as the kernel tells of them, and what a rule for each would mean.

A record is `lsm=SMACK fn=… action=denied subject="vs1" object="_" requested=w pid=… comm="…"
name="…"` (smack_log in the kernel's security/smack/smack_access.c).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

from virtsec.errors import BadInput
from virtsec.mac.denial import Denial, Weighed, grouped, weighed
from virtsec.mac.smack.rule import FLOOR, HOST, LINK, NET, REST, STAR, check_label
from virtsec.spec import Addition

_FIELD = re.compile(r'(\w+)=(?:"([^"]*)"|(\S+))')
_ORDER = "rwxatl"
_WORDS = {"r": "read", "w": "write", "x": "execute", "a": "append to", "t": "share out",
          "l": "lock"}  # fmt: skip
_RELABEL = "Give the container's own directories its label: `virtsec label` does."


def denials(lines: Iterable[str], subject: str) -> Iterator[Denial]:
    """The refusals of tasks labelled `subject` among the kernel's `lines`."""
    for line in lines:
        if "lsm=SMACK" not in line:
            continue
        fields = {name: quoted or plain for name, quoted, plain in _FIELD.findall(line)}
        access = frozenset(fields.get("requested", "")) & set(_ORDER)
        if fields.get("action") != "denied" or fields.get("subject") != subject or not access:
            continue
        thing = fields.get("path") or fields.get("name") or fields.get("dest") or ""
        yield Denial(fields.get("object", ""), "", access, fields.get("comm", ""), thing)


def weigh(name: str, refused: Iterable[Denial], containers: Collection[str]) -> list[Weighed]:
    """What a rule for each label would mean to container `name`; `containers` are all labels."""
    found = []
    for (label, _), them in grouped(refused).items():
        letters = frozenset().union(*(each.access for each in them))
        access = tuple(letter for letter in _ORDER if letter in letters)
        does = " and ".join(_WORDS[letter] for letter in access)
        risk = f"It would let {name} {does} all that is labelled {label}."
        found.append(
            weighed(Addition(label, "", access), them, risk, _breaks(label, containers), _RELABEL)
        )
    return found


def _breaks(label: str, containers: Collection[str]) -> str:
    if label == FLOOR:
        return "What the host's own tasks and files are labelled, no container may write to."
    if label == HOST:
        return "The host's secrets are labelled so, and no container may even read them."
    if label in containers:
        return "It is another container, and containers are kept apart."
    if label in {NET, LINK, REST, STAR, "^", "?", ""}:
        return "The label is Smack's or virtsec's own."
    try:
        check_label(label)
    except BadInput:
        return "It is no label of Smack's."
    return ""
