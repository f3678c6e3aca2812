"""User namespaces: user_namespaces(7), with the constants of linux/sched.h."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from virtsec.kernel.syscall import check, libc

CLONE_FS = 0x00000200
CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000


def unshare(flags: int) -> None:
    """Leave the namespaces in `flags` for new ones. Raises `OSError`."""
    check(libc.unshare(flags), "unshare")


def enter(namespace: int, kind: int) -> None:
    """Enter the namespace that descriptor `namespace` refers to; several by a process's pidfd.

    Raises `OSError`.
    """
    check(libc.setns(namespace, kind), "setns")


@contextmanager
def user_namespace(start: int, count: int) -> Iterator[int]:
    """A descriptor of a new user namespace whose ids 0 to `count` - 1 are `start` and up outside.

    A child makes it and waits until the maps are written; the descriptor keeps it alive after.
    It is told by a byte: a pipe's end may be open in a child that another thread forked, too.
    Raises `OSError`; ENOSPC or EPERM where the host allows no (more) user namespaces.
    """
    ready, made = os.pipe()
    release, done = os.pipe()
    child = os.fork()
    if child == 0:
        _hold_new_namespace(made, release, (ready, done))
    os.close(made)
    os.close(release)
    try:
        number = int.from_bytes(os.read(ready, 4), "little")
        if number != 0:
            raise OSError(number, f"unshare: {os.strerror(number)}")
        for ids in ("uid_map", "gid_map"):
            _write(f"/proc/{child}/{ids}", f"0 {start} {count}\n")
        namespace = os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        with suppress(BrokenPipeError):  # it is gone already
            os.write(done, b".")
        os.close(done)
        os.close(ready)
        with suppress(ChildProcessError):
            os.waitpid(child, 0)
    try:
        yield namespace
    finally:
        os.close(namespace)


def _hold_new_namespace(made: int, release: int, others: tuple[int, ...]) -> NoReturn:
    """The child's whole life: whatever happens, nothing of the parent's is cleaned up."""
    try:
        for descriptor in others:
            os.close(descriptor)
        number = 0
        try:
            unshare(CLONE_NEWUSER)
        except OSError as error:
            number = error.errno or errno.EPERM
        os.write(made, number.to_bytes(4, "little"))
        os.read(release, 1)
    finally:
        os._exit(0)


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
