"""What is in an archive, judged from tar's own list of it before anything is unpacked; pure.

The lines are those of `tar --list --verbose --numeric-owner --acls --quoting-style=c`: kind and
mode, + where there is an ACL, owner/group, size or device numbers, date, the name in C quotes and,
for links, where they lead.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

from virtsec.errors import BadInput
from virtsec.spec import ID_COUNT

#: The patterns for tar that leave /dev's entries out: libvirt gives each container a /dev.
LEFT_OUT = ("./dev/*", "dev/*")

_QUOTED = rb"\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)\""
_LINE = re.compile(
    rb"(.)[^\s+]*(\+?) +(\d+)/(\d+) +\S+ [^\"]*"
    + _QUOTED
    + rb"(?: (?:->|link to) "
    + _QUOTED
    + rb")?\n?",
    re.DOTALL,
)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}
_REMEDY = "Use an archive of a Linux root that was made with 'tar --create .' in its top directory."
_MOST_LINKS = 40  # as the kernel's MAXSYMLINKS (linux/namei.h)


class Member(NamedTuple):
    """One line of the list. `kind` is tar's letter: - file, d directory, l symlink, h hard link."""

    kind: str
    uid: int
    gid: int
    name: str
    target: str | None = None
    acl: bool = False


def parse_member(line: bytes) -> Member:
    """Read one line. Raises `ValueError`."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise ValueError(line)
    kind, acl, uid, gid, name, target = found.groups()
    leads = None if target is None else unquote(target)
    return Member(kind.decode("latin-1"), int(uid), int(gid), unquote(name), leads, bool(acl))


def unquote(quoted: bytes) -> str:
    """A name without tar's C quotes, as Python's own functions name files."""
    if b"\\" in quoted:
        quoted = _ESCAPE.sub(_unescape, quoted)
    return os.fsdecode(quoted)


def _unescape(found: re.Match[bytes]) -> bytes:
    escaped = found[1]
    return bytes([int(escaped, 8) & 0xFF]) if escaped.isdigit() else _LETTERS.get(escaped, escaped)


@dataclass(slots=True)
class Members:
    """The members seen so far. `add` raises `BadInput` at the first that may not be unpacked."""

    archive: str
    count: int = 0
    acls: bool = False  #: whether any of them has one
    files: set[str] = field(default_factory=set)
    tops: set[str] = field(default_factory=set)
    links: dict[str, str] = field(default_factory=dict)  #: symlinks, and where they lead
    #: The directory last found free of links, as a name and as a path, if it is not the top. No
    #: link takes its place unnoticed: one that is not in it has another directory, found free then.
    _beside: tuple[str | None, str] = (None, "")

    def add(self, line: bytes) -> None:
        """Take one line of the list."""
        try:
            member = parse_member(line)
        except ValueError:
            raise BadInput(
                f"{self.archive} has a member that tar cannot name: {line[:80]!r}.", _REMEDY
            ) from None
        if member.uid >= ID_COUNT or member.gid >= ID_COUNT:
            identity = max(member.uid, member.gid)
            raise BadInput(
                f"{member.name!r} in {self.archive} belongs to the id {identity}; "
                "a container has ids below 65,536.",
                "Make the archive from inside the container, or from a tree that is not shifted.",
            )
        self.count += 1
        self.acls = self.acls or member.acl
        path = self._inside(member.name)
        if member.kind in "cbp":
            self._check_node(member)
        elif member.kind == "l":
            self.links[path] = member.target or ""
        elif member.kind == "h":
            if self._inside(member.target or "..") in self.files:
                self.files.add(path)
        elif member.kind == "-":
            self.files.add(path)
        elif member.kind != "d":
            raise BadInput(
                f"{member.name!r} in {self.archive} is of a kind that virtsec does not unpack.",
                _REMEDY,
            )
        self.tops.add(path.partition("/")[0])

    def _inside(self, name: str) -> str:
        """`name` as a path from the top. Raises `BadInput` where it leads, or might lead, out."""
        directory, _, last = name.rpartition("/")
        beside, above = self._beside
        if directory == beside and last not in ("", ".", ".."):
            return above + last
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts:
            raise BadInput(f"{name!r} in {self.archive} leads out of the tree.", _REMEDY)
        for depth in range(1, len(parts)):
            link = "/".join(parts[:depth])
            if link in self.links:
                raise BadInput(
                    f"{name!r} in {self.archive} lies behind the symlink {link!r}.", _REMEDY
                )
        path = "/".join(parts)
        known = len(parts) > 1 and parts[-1] == last
        self._beside = (directory, path.removesuffix(last)) if known else (None, "")
        return path

    def _check_node(self, member: Member) -> None:
        if not member.name.startswith(("./dev/", "dev/")):
            kind = "fifo" if member.kind == "p" else "device node"
            raise BadInput(
                f"{member.name!r} in {self.archive} is a {kind} outside /dev.",
                "Make the archive without it.",
            )

    def check_root(self, init: PurePosixPath) -> None:
        """Raise `BadInput` unless all members together are a Linux root with this init."""
        if not self.tops & {"etc", "usr", "bin"}:
            raise BadInput(
                f"{self.archive} holds no Linux root: it has none of /etc, /usr and /bin.", _REMEDY
            )
        if self.resolve(str(init)) not in self.files:
            raise BadInput(
                f"{self.archive} has no init: {init} is not a file in it.",
                "Name the program to be started with --init.",
            )

    def resolve(self, path: str) -> str | None:
        """Where `path` leads once unpacked, links followed inside; None when in circles."""
        pending = path.split("/")[::-1]
        done: list[str] = []
        followed = 0
        while pending:
            part = pending.pop()
            if part in ("", "."):
                continue
            if part == "..":
                del done[-1:]
                continue
            done.append(part)
            target = self.links.get("/".join(done))
            if target is not None:
                followed += 1
                if followed > _MOST_LINKS:
                    return None
                done = [] if target.startswith("/") else done[:-1]
                pending += target.split("/")[::-1]
        return "/".join(done)
