"""openat2(2): opening a path whose resolution is bounded (linux/openat2.h, kernel 5.6)."""

from __future__ import annotations

import ctypes
import errno
import os

from virtsec.kernel.syscall import syscall

_SYS_OPENAT2 = 437

RESOLVE_NO_XDEV = 0x01  #: do not cross mount points
RESOLVE_NO_MAGICLINKS = 0x02  #: do not follow /proc's magic links
RESOLVE_NO_SYMLINKS = 0x04  #: do not follow any symlink
RESOLVE_BENEATH = 0x08  #: refuse whatever leaves the starting directory
RESOLVE_IN_ROOT = 0x10  #: take the starting directory as the root, for links and `..` too

#: The kernel answers EAGAIN when a rename or mount elsewhere made `..` ambiguous.
_TRIES = 64


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def openat2(directory: int, path: str, flags: int, resolve: int) -> int:
    """Open `path` relative to descriptor `directory`; close-on-exec. Raises `OSError`."""
    how = _OpenHow(flags | os.O_CLOEXEC, 0, resolve)
    size = ctypes.c_size_t(ctypes.sizeof(how))
    name = os.fsencode(path)
    for _ in range(_TRIES):
        try:
            return syscall(_SYS_OPENAT2, "openat2", directory, name, ctypes.byref(how), size)
        except InterruptedError:
            continue
        except BlockingIOError:
            continue
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0), path) from None
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)


def open_beneath(directory: int, path: str, flags: int) -> int:
    """Open what is at `path` under `directory` itself: no link followed, no mount crossed."""
    bounds = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV
    return openat2(directory, path, flags | os.O_NOFOLLOW, bounds)


def open_in_root(root: int, path: str, flags: int) -> int:
    """Open `path` as a process whose root directory is `root` would, its own links followed."""
    return openat2(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
