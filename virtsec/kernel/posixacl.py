"""POSIX ACLs: the value of system.posix_acl_* (linux/posix_acl_xattr.h, acl(5)).

Little-endian: a version word, then per entry a tag, permissions and an id, which only the entries
of named users and groups use.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

USER = 0x02  #: tag of a named user
GROUP = 0x08  #: tag of a named group

_VERSION = 2
_HEADER = struct.Struct("<I")
_ENTRY = struct.Struct("<HHI")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; `identity` counts only where `tag` is `USER` or `GROUP`."""

    tag: int
    permissions: int
    identity: int


def parse(value: bytes) -> tuple[Entry, ...]:
    """Read an attribute's value. Raises `ValueError` when it is none the kernel accepts."""
    if len(value) < _HEADER.size or (len(value) - _HEADER.size) % _ENTRY.size:
        raise ValueError(f"ACL of {len(value)} bytes")
    (version,) = _HEADER.unpack_from(value)
    if version != _VERSION:
        raise ValueError(f"ACL of version {version}")
    return tuple(Entry(*fields) for fields in _ENTRY.iter_unpack(value[_HEADER.size :]))


def build(entries: tuple[Entry, ...]) -> bytes:
    """The value to set."""
    packed = (_ENTRY.pack(e.tag, e.permissions, e.identity) for e in entries)
    return _HEADER.pack(_VERSION) + b"".join(packed)


def translate(value: bytes, moved: Callable[[int], int]) -> bytes:
    """The same ACL with the ids of named users and groups passed through `moved`."""
    return build(
        tuple(
            Entry(e.tag, e.permissions, moved(e.identity)) if e.tag in (USER, GROUP) else e
            for e in parse(value)
        )
    )
