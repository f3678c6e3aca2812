"""The disk that a directory lies on."""

from __future__ import annotations

from pathlib import Path


def disk_below(mount_point: str, mountinfo: str | None = None) -> str | None:
    """The device node of the disk mounted at `mount_point`; None when it is no disk's."""
    text = mountinfo or Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    found = None
    for line in text.splitlines():
        words = line.split(" ")
        if words[4] == mount_point:
            found = words[words.index("-") + 2]
    return found if found is not None and found.startswith("/dev/") else None
