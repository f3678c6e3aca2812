"""What an inode's labels were before virtsec set its own, kept on the inode itself.

The note is an attribute that only the host's root can set or see (trusted.*), so it goes where the
file goes and nobody inside can change what is given back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping

from virtsec.kernel import xattrs

NOTE = "trusted.virtsec.before"
_FOR_GOOD = "security.selinux"  # once set nobody may take it away (selinux_inode_removexattr)


def take(path: str, names: Iterable[str]) -> None:
    """Note what the inode at `path` has of these attributes, unless there is a note already."""
    if xattrs.get(path, NOTE) is None:
        # A security module tells a label for an inode that has none, too.
        there = {*os.listxattr(path), _FOR_GOOD}
        have = {name: xattrs.get(path, name) if name in there else None for name in names}
        told = {name: None if value is None else value.hex() for name, value in have.items()}
        xattrs.put(path, NOTE, json.dumps(told).encode())


def noted(path: str, *, follow: bool = True) -> Mapping[str, bytes | None] | None:
    """What the note says; None where there is none. Raises `ValueError` for one that is none."""
    value = xattrs.get(path, NOTE, follow=follow)
    if value is None:
        return None
    try:
        told = json.loads(value)
        return {name: None if text is None else bytes.fromhex(text) for name, text in told.items()}
    except (ValueError, AttributeError, TypeError):
        raise ValueError("a note of its labels that is none") from None
