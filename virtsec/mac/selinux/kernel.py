"""The kernel's side of SELinux: selinuxfs and /proc/PID/attr (Documentation/security/SELinux)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

MOUNT = Path("/sys/fs/selinux")


def active() -> bool:
    """Whether SELinux is the module in force: selinuxfs is mounted and a policy is loaded."""
    try:
        return (MOUNT / "enforce").exists() and Path("/proc/self/attr/current").read_text() != ""
    except OSError:
        return False


def enforcing() -> bool:
    """Whether the kernel refuses what policy does not allow."""
    return (MOUNT / "enforce").read_text().strip() == "1"


def knows(context: str) -> bool:
    """Whether the loaded policy has `context`: user, role, type and level."""
    try:
        descriptor = os.open(MOUNT / "context", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        os.write(descriptor, context.encode())
    except OSError as error:
        if error.errno == errno.EINVAL:
            return False
        raise
    finally:
        os.close(descriptor)
    return True


def make_files_as(context: str) -> None:
    """Take on the user and the level of a file's context, the process's type staying its own.

    What it then makes in a directory of that type is born with `context`, over exec too, which
    ends a context that is set for making files (libselinux's setfscreatecon(3)). Where the policy
    does not let it, nothing happens: files are born with another label and get theirs later.
    """
    user, _, _, level = context.split(":", 3)
    own = Path("/proc/self/attr/current")
    try:
        kind = own.read_text().split(":")[2]
        own.write_text(f"{user}:system_r:{kind}:{level}")
    except OSError:
        return


def process_context(pid: int) -> str | None:
    """The context process `pid` runs in, or None when it is gone."""
    try:
        return Path(f"/proc/{pid}/attr/current").read_text().rstrip("\0\n") or None
    except (FileNotFoundError, ProcessLookupError):
        return None
