"""The one rule for container names, and what else is called by them.

A name becomes a libvirt domain name, the stem of SELinux types (`vs1_t`, `vs1_file_t`), a Smack
label (23 bytes map to CIPSO without a table) and the host name inside, so it must be valid as each.
"""

from __future__ import annotations

import re

from virtsec.errors import BadInput
from virtsec.runtime import start

MAX_LENGTH = 23
MOST_INTERFACE = start.MOST_PORT
_NAME = re.compile(r"[a-z](?:[a-z0-9-]*[a-z0-9])?")
#: Stems of types and labels that virtsec itself or a security module already uses.
RESERVED = frozenset({"virtsec", "host", "net", "floor", "hat", "star", "system", "user"})


def check_name(name: str) -> str:
    """Return `name`, or raise `BadInput` when it is not one a container may have."""
    if len(name) > MAX_LENGTH or not _NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} is not a container name.",
            f"Use at most {MAX_LENGTH} lower-case letters, digits and hyphens, "
            "starting with a letter and not ending in a hyphen.",
        )
    if name in RESERVED or name.startswith("virtsec-"):
        raise BadInput(f"The name {name!r} is reserved.", "Choose another name, such as 'vs1'.")
    return name


def check_port(text: str) -> int:
    """The port that `text` is the number of, or `BadInput` when there is none."""
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) < 65536):
        raise BadInput(f"{text!r} is not a port.", "Write a number from 1 to 65535.")
    return int(text)


def port_of(name: str) -> str:
    """The host's end of container `name`'s network interface, as the hook has it; pure."""
    return start.port_of(name)
