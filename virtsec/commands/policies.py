"""policy show, policy diff: what confines a container, as it is and as it should be."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from virtsec.commands.find import find_ours
from virtsec.commands.host import open_host
from virtsec.mac.protocol import Policy
from virtsec.plans.host import policy_of
from virtsec.step import Host


@dataclass(frozen=True, slots=True)
class Part:
    """One module, or one file of rules, with its comments."""

    name: str  #: of the module or file
    text: str  #: in the security module's language


@dataclass(frozen=True, slots=True)
class Shown:
    """The policy of one container as this host has it: what all share first, its own last."""

    name: str  #: the container's
    model: str  #: the security module
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """How what this host has differs from what this version would install."""

    name: str  #: the container's
    model: str  #: the security module
    same: bool  #: nothing differs
    diff: str  #: unified, empty when it is the same; lines with `+` are this version's


def show_policy(name: str, host: Host | None = None) -> Shown:
    """The policy in force for container `name`."""
    host = host or open_host()
    texts = host.mac.texts_in_force(_own(name, host))
    return Shown(name, host.mac.model, tuple(Part(*each) for each in texts.items()))


def diff_policy(name: str, host: Host | None = None) -> Compared:
    """Compare the policy in force for container `name` with this version's."""
    host = host or open_host()
    own = _own(name, host)
    have, wanted = host.mac.texts_in_force(own), host.mac.texts(own)
    lines = [
        line
        for each, text in wanted.items()
        for line in difflib.unified_diff(
            have.get(each, "").splitlines(keepends=True),
            text.splitlines(keepends=True),
            f"{each} on this host",
            f"{each} of this version",
        )
    ]
    return Compared(name, host.mac.model, not lines, "".join(lines))


def _own(name: str, host: Host) -> Policy:
    _, container = find_ours(name, host)
    return policy_of(container, host.mac)
