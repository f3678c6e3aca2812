"""Who a command runs as, by the container's own files, which its root may have written.

libc's own look-up would load libraries of the container. What is no passwd(5) or group(5), or no
file at all, counts as empty, and whatever they say of a user, its ids are those of the container's
user namespace or are refused.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from virtsec.kernel.privilege import prctl
from virtsec.runtime.order import Failed

PR_SET_DUMPABLE = 4  # linux/prctl.h


@dataclass(frozen=True)
class User:
    """Who runs the command, by the container's own files."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    name: str
    home: str
    shell: str


ROOT = User(0, 0, (), "root", "/root", "/bin/sh")


def find_user(wanted: str) -> User:
    """Who `wanted` is inside; Failed when the container knows no such user."""
    number, _, group = wanted.partition(":")
    for name, _, uid, gid, _, home, shell in table("/etc/passwd", 7):
        if number in (name, uid) and uid.isdecimal() and gid.isdecimal():
            member = tuple(
                int(line[2])
                for line in table("/etc/group", 4)
                if name in line[3].split(",") and line[2].isdecimal()
            )
            chosen = int(group) if group.isdecimal() else int(gid)
            return User(int(uid), chosen, member, name, home or "/", shell or "/bin/sh")
    if number in ("root", "0"):
        return ROOT
    if number.isdecimal():
        return User(int(number), int(group) if group.isdecimal() else 0, (), number, "/", "/bin/sh")
    raise Failed(f"it has no user {number}")


def table(path: str, fields: int) -> list[list[str]]:
    """The lines of passwd(5) or group(5) inside; whatever else is there counts as empty."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return []
        text = os.read(file, 1 << 20).decode("utf-8", "replace")
    except OSError:
        return []
    finally:
        os.close(file)
    lines = [line.split(":") for line in text.splitlines()]
    return [line for line in lines if len(line) == fields]


def become(user: User) -> None:
    """Take on `user`'s ids; a number that the user namespace has not is an error."""
    os.setgroups(user.groups)
    os.setresgid(user.gid, user.gid, user.gid)
    os.setresuid(user.uid, user.uid, user.uid)
    prctl(PR_SET_DUMPABLE, 0)  # a change of ids puts it back to fs.suid_dumpable (proc(5))
