"""Files on their way into a container or out of it: a tar stream, unpacked or made inside.

Runs as the door's last process, confined as the container is, with nothing open but its streams:
whatever links, mounts and names inside make of a path, what it leads to is the container's own.
Nothing is executed, so a container needs no tar of its own, and none that is hostile matters.
"""

from __future__ import annotations

import os
import sys
import tarfile
from pathlib import Path

# Names of users mean nothing elsewhere, and to find them libc loads libraries of the container.
tarfile.pwd = tarfile.grp = None  # type: ignore[attr-defined]

CONTENTS = "."  #: the name of a directory of which only the contents are wanted


class Unfit(Exception):
    """Why it is not copied, in one sentence."""


def name_of(path: str) -> str:
    """What a copy of `path` is called, as cp(1) has it: of `dir/.` the contents are wanted."""
    return CONTENTS if path.endswith(("/", "/.")) or path == CONTENTS else Path(path).name


def pack(path: str) -> None:
    """Write `path`, whatever it is, to standard output. Raises Unfit."""
    if not os.path.lexists(path):
        raise Unfit(f"there is no {path}")
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        archive.add(path, name_of(path), filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """A member as the other side takes it: no device, nobody's in particular."""
    member.uid = member.gid = 0
    return None if member.ischr() or member.isblk() else member


def unpack(path: str, name: str) -> None:
    """Put what comes on standard input, all called `name`, at or into `path`. Raises Unfit."""
    place, called = Path(path), name
    if not place.is_dir():
        place, called = place.parent, place.name
    if not place.is_dir():
        raise Unfit(f"there is no directory {place}")
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
        # The host packed it; later Pythons would not unpack all of it without being told so.
        archive.extraction_filter = getattr(tarfile, "fully_trusted_filter", None)
        for member in archive:
            member.name = _renamed(member.name, name, called)
            if member.islnk():
                member.linkname = _renamed(member.linkname, name, called)
            member.uid, member.gid = os.getuid(), os.getgid()
            archive.extract(member, place, numeric_owner=True)


def _renamed(path: str, name: str, called: str) -> str:
    """`path` with its first part `called` where that was `name`; contents stay where they are."""
    if name == CONTENTS:
        return path
    return called + path.removeprefix(name)
