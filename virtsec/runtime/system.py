"""What hook and controller ask of the kernel, and `posix` has not in one word.

A program that others than root can change is a refusal. No path given here is a container's to
choose. Calls that `posix` does not have go to the C library through `_ctypes`, what `ctypes` is
made of: `ctypes` itself loads `os`, `types` and `struct` too, which takes a third as long as Python
takes to start, and every start of every container waits for it.
"""

import _ctypes
import posix

from .refusal import BY_OTHERS, S_IFMT, S_IFREG, require

LAST_DESCRIPTOR = 1 << 30  # above fs.nr_open's highest value
errno = _ctypes.get_errno  # of the last call
READ_LIMIT = 1 << 22  # bytes: what libvirt writes of a domain is longer than its XML
PATH = b"/usr/sbin:/usr/bin:/sbin:/bin"  # of programs that are run; libvirt_lxc calls ip(8)


def close_all_but(kept: set[int]) -> None:
    """Close all other descriptors; OSError when one of these is not open."""
    first = 0
    for descriptor in sorted(kept):
        posix.fstat(descriptor)
        if first < descriptor:  # closerange(0, 0) would close all there are
            posix.closerange(first, descriptor)
        first = descriptor + 1
    posix.closerange(first, LAST_DESCRIPTOR)


def exists(path: str) -> bool:
    """Whether there is a file; an unreadable directory above it is an error."""
    try:
        posix.stat(path)
    except FileNotFoundError:
        return False
    return True


def read(path: str) -> str:
    """All of a file of at most `READ_LIMIT` bytes, whatever characters are in it."""
    file = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    content = posix.read(file, READ_LIMIT)
    posix.close(file)
    return content.decode(errors="surrogateescape")


def write(path: str, text: str) -> None:
    """Write a file of the kernel's in one call."""
    file = posix.open(path, posix.O_WRONLY | posix.O_CLOEXEC)
    posix.write(file, text.encode())
    posix.close(file)


def program(*paths: str) -> str:
    """The first of these that exists, which must be a program that only root can change."""
    path = next(filter(exists, paths), paths[0])
    status = posix.stat(path)
    safe = status.st_uid == 0 and not status.st_mode & BY_OTHERS
    require(safe and status.st_mode & S_IFMT == S_IFREG, f"others than root can change {path}")
    return path


class Function(_ctypes.CFuncPtr):
    """A function of the C library's that returns an int and sets errno.

    Given bytes as char *, None as NULL, and integers as int, which libffi widens to what a register
    holds: so a small one is right where a long is asked for, too.
    """

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO


def function(name: str) -> Function:
    """The C library's function of this name."""
    program = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]  # None: the program, and its libraries
    return Function(_ctypes.dlsym(program, name))


def call(name: str, *arguments: object) -> None:
    """Call a function that returns 0; Refused when it does not."""
    status = function(name)(*arguments)
    require(status == 0, f"{name}(2) failed: {posix.strerror(errno())}")
