"""Mounts: what is mounted where, detached copies and read-only views.

open_tree(2), fsopen(2), mount_setattr(2) with the constants of linux/mount.h (kernel 5.2 and 5.12),
and /proc/self/mountinfo as in proc_pid_mountinfo(5).
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path, PurePosixPath

from virtsec.kernel.signals import ENDING, blocked
from virtsec.kernel.syscall import check, libc, syscall
from virtsec.kernel.userns import CLONE_FS, CLONE_NEWNS, enter, unshare

_SYS_OPEN_TREE = 428
_SYS_FSOPEN = 430
_SYS_FSCONFIG = 431
_SYS_FSMOUNT = 432
_SYS_MOUNT_SETATTR = 442

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_UMOUNT_NOFOLLOW = 0x8
_OPEN_TREE_CLONE = 0x1
_OPEN_TREE_CLOEXEC = 0o2000000
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 0x1
_FSCONFIG_CMD_CREATE = 6
_MOUNT_ATTR_RDONLY = 0x1
_MOUNT_ATTR_IDMAP = 0x00100000
_MS_REC, _MS_PRIVATE, _MS_SLAVE = 1 << 14, 1 << 18, 1 << 19

_MOUNT_POINT_FIELD = 4
_OCTAL = re.compile(r"\\([0-7]{3})")


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def detached_mount(directory: int) -> int:
    """A descriptor of a new mount of `directory` that is attached nowhere.

    From inside it nothing else can be reached by `..`, and it stays writable when all other mounts
    of a process are not.
    """
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | _AT_EMPTY_PATH
    return syscall(_SYS_OPEN_TREE, "open_tree", directory, b"", flags)


def detached_tmpfs() -> int:
    """A descriptor of a new tmpfs that is mounted nowhere, and gone with its last descriptor."""
    context = syscall(_SYS_FSOPEN, "fsopen", b"tmpfs", _FSOPEN_CLOEXEC)
    try:
        syscall(_SYS_FSCONFIG, "fsconfig", context, _FSCONFIG_CMD_CREATE, None, None, 0)
        return syscall(_SYS_FSMOUNT, "fsmount", context, _FSMOUNT_CLOEXEC, 0)
    finally:
        os.close(context)


@contextmanager
def own_mounts() -> Iterator[None]:
    """Give this thread a mount namespace of its own for as long: nothing it mounts is seen outside.

    Its working directory is the same, then and afterwards (mount_namespaces(7), setns(2)).
    """
    with ExitStack() as stack:
        with blocked(ENDING):  # interrupted it has left, and knows the way back
            before = _opened(stack, "/proc/thread-self/ns/mnt", os.O_RDONLY)
            directory = _opened(stack, ".", os.O_PATH | os.O_DIRECTORY)
            unshare(CLONE_NEWNS)
            stack.callback(_go_back, before, directory)
        check(libc.mount(None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_SLAVE), None), "mount")
        yield


def _go_back(namespace: int, directory: int) -> None:
    # None enters one who shares root and working directory, as a thread begun meanwhile would.
    unshare(CLONE_FS)
    enter(namespace, CLONE_NEWNS)
    os.fchdir(directory)


def _opened(stack: ExitStack, path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    return descriptor


def unmount(path: PurePosixPath) -> None:
    """Take away what is mounted there, all of it being over when this returns."""
    check(libc.umount2(os.fsencode(path), _UMOUNT_NOFOLLOW), "umount")


def make_all_read_only() -> None:
    """Make every mount of this mount namespace private and read-only."""
    attributes = _MountAttr(_MOUNT_ATTR_RDONLY, 0, _MS_PRIVATE, 0)
    _set_attributes(_AT_FDCWD, b"/", _AT_RECURSIVE, attributes)


def map_ids(mount: int, namespace: int) -> None:
    """Have a detached mount show owners as they are in a user namespace; once for each mount.

    Raises `OSError`, EINVAL where its file system cannot (mount_setattr(2), "ID-mapped mounts").
    """
    _set_attributes(mount, b"", _AT_EMPTY_PATH, _MountAttr(_MOUNT_ATTR_IDMAP, 0, 0, namespace))


def _set_attributes(place: int, path: bytes, flags: int, attributes: _MountAttr) -> None:
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    attribute = ctypes.byref(attributes)
    syscall(_SYS_MOUNT_SETATTR, "mount_setattr", place, path, flags, attribute, size)


def parse_mount_points(mountinfo: str) -> list[PurePosixPath]:
    """The mount points that the text of a mountinfo file names; pure."""
    return [
        PurePosixPath(_OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[_MOUNT_POINT_FIELD]))
        for fields in (line.split(" ") for line in mountinfo.splitlines())
        if len(fields) > _MOUNT_POINT_FIELD
    ]


def mounted_at_or_beneath(path: PurePosixPath) -> list[PurePosixPath]:
    """Mount points of this mount namespace that are `path` or under it; `path` without links."""
    text = Path("/proc/thread-self/mountinfo").read_text("utf-8", "surrogateescape")
    return [point for point in parse_mount_points(text) if point.is_relative_to(path)]
