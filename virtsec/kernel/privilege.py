"""Being root, and giving up capabilities: capabilities(7), linux/capability.h, linux/prctl.h."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Collection
from pathlib import Path

from virtsec.errors import HostNotReady
from virtsec.kernel.syscall import check, libc

CAP_CHOWN = 0
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAP_FOWNER = 3
CAP_FSETID = 4
CAP_SETFCAP = 31

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_VERSION_3 = 0x20080522
#: Numbers that any kernel in use could know; one it does not know answers EINVAL.
_ALL = range(64)


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def need_root() -> None:
    """Raise `HostNotReady` for whoever is not root."""
    if os.geteuid() != 0:
        raise HostNotReady(
            "virtsec works on the whole host and needs root.", "Run it with `sudo virtsec`."
        )


def prctl(option: int, argument: int) -> None:
    """prctl(2) with one argument. Raises `OSError`."""
    numbers = [ctypes.c_ulong(n) for n in (argument, 0, 0, 0)]
    check(libc.prctl(ctypes.c_int(option), *numbers), "prctl")


def die_with_parent(signal: int) -> None:
    """Have the kernel send `signal` to this process when the thread that made it ends."""
    prctl(_PR_SET_PDEATHSIG, signal)


def keep_only(capabilities: Collection[int]) -> None:
    """Give up every other capability for good, over exec too, and forbid gaining any.

    Effective, permitted and bounding sets; a uid 0 process that execs gets what is left in the
    bounding set. Raises `OSError`.
    """
    for number in _ALL:
        if number not in capabilities:
            try:
                prctl(_PR_CAPBSET_DROP, number)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                break
    mask = sum(1 << number for number in capabilities)
    halves = (_Data * 2)(
        _Data(mask & 0xFFFFFFFF, mask & 0xFFFFFFFF, 0), _Data(mask >> 32, mask >> 32, 0)
    )
    header = _Header(_VERSION_3, 0)
    check(libc.capset(ctypes.byref(header), ctypes.byref(halves)), "capset")
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def effective() -> frozenset[int]:
    """The effective capabilities of this process, by number (proc_pid_status(5))."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            mask = int(value, 16)
            return frozenset(number for number in _ALL if mask >> number & 1)
    return frozenset()
