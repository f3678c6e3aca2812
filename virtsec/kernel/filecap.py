"""File capabilities: the value of security.capability (linux/capability.h, vfs_cap_data).

Little-endian: `magic_etc` (revision in the top byte, the effective bit in the lowest), then pairs
of permitted and inheritable words, one pair in revision 1, two after; revision 3 ends in the root
id: the host's id of the user namespace root for which alone the capabilities count.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_REVISION_MASK = 0xFF000000
_REVISION_1 = 0x01000000
_REVISION_2 = 0x02000000
_REVISION_3 = 0x03000000
_EFFECTIVE = 0x000001
_SIZES = {_REVISION_1: 12, _REVISION_2: 20, _REVISION_3: 24}


@dataclass(frozen=True, slots=True)
class FileCapability:
    """What a file grants. `root_id` 0 stands for the initial user namespace."""

    permitted: int
    inheritable: int
    effective: bool
    root_id: int = 0


def parse(value: bytes) -> FileCapability:
    """Read an attribute's value. Raises `ValueError` when it is none the kernel accepts."""
    if len(value) < 4:
        raise ValueError("file capability too short")
    (magic,) = struct.unpack_from("<I", value)
    revision = magic & _REVISION_MASK
    if _SIZES.get(revision) != len(value):
        raise ValueError(f"file capability of revision {revision >> 24} and {len(value)} bytes")
    if revision == _REVISION_1:
        low, low_inheritable = struct.unpack_from("<2I", value, 4)
        high = high_inheritable = 0
    else:
        low, low_inheritable, high, high_inheritable = struct.unpack_from("<4I", value, 4)
    root_id = struct.unpack_from("<I", value, 20)[0] if revision == _REVISION_3 else 0
    return FileCapability(
        permitted=low | high << 32,
        inheritable=low_inheritable | high_inheritable << 32,
        effective=bool(magic & _EFFECTIVE),
        root_id=root_id,
    )


def build(capability: FileCapability) -> bytes:
    """The value to set: revision 2 for the initial user namespace, else revision 3."""
    revision = _REVISION_3 if capability.root_id else _REVISION_2
    value = struct.pack(
        "<5I",
        revision | (_EFFECTIVE if capability.effective else 0),
        capability.permitted & 0xFFFFFFFF,
        capability.inheritable & 0xFFFFFFFF,
        capability.permitted >> 32,
        capability.inheritable >> 32,
    )
    return value + struct.pack("<I", capability.root_id) if capability.root_id else value
