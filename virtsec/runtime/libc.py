"""Calls of the C library that `posix` does not have, through `_ctypes`: what `ctypes` is made of.

`ctypes` itself loads `os`, `types` and `struct` too, which takes a third as long as Python takes to
start; this takes next to nothing, and every start of every container waits for it. Integers go as
C's int, bytes as char *, None as NULL; a function that takes an unsigned long is given `Long`.
"""

import _ctypes
import posix

from .refusal import require

errno = _ctypes.get_errno  # of the last call


class Int(_ctypes._SimpleCData):  # type: ignore[type-arg]  # a parameter it has for mypy alone
    """C's int."""

    _type_ = "i"


class Long(_ctypes._SimpleCData):  # type: ignore[type-arg]
    """C's unsigned long."""

    _type_ = "L"


class Short(_ctypes._SimpleCData):  # type: ignore[type-arg]
    """C's unsigned short."""

    _type_ = "H"


class Text(_ctypes._SimpleCData):  # type: ignore[type-arg]
    """C's char *."""

    _type_ = "z"


class Function(_ctypes.CFuncPtr):
    """A function that returns an int and sets errno."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = Int


def function(name: str) -> Function:
    """The C library's function of this name."""
    program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # None: the program, and its libraries
    return Function(_ctypes.dlsym(program, name))


def call(name: str, *arguments: object) -> None:
    """Call a function that returns 0; Refused when it does not."""
    status = function(name)(*arguments)
    require(status == 0, f"{name}(2) failed: {posix.strerror(errno())}")
