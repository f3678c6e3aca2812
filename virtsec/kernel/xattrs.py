"""Extended attributes: xattr(7), with the names of linux/xattr.h.

The f*xattr calls refuse a descriptor opened with O_PATH, so an inode held by one is reached as
`/proc/self/fd/N`: that magic link leads to the inode itself, whatever its name points to by now,
and to a symlink's own attributes where the inode is a symlink.
"""

from __future__ import annotations

import errno
import os

ACL_ACCESS = "system.posix_acl_access"
ACL_DEFAULT = "system.posix_acl_default"
FILE_CAPABILITY = "security.capability"

_ABSENT = (errno.ENODATA, errno.EOPNOTSUPP)


def held(descriptor: int) -> str:
    """A path to the inode that `descriptor` holds, for calls that take no descriptor."""
    return f"/proc/self/fd/{descriptor}"


def get(path: str, name: str, *, follow: bool = True) -> bytes | None:
    """The attribute's value, or None where it is not there."""
    try:
        return os.getxattr(path, name, follow_symlinks=follow)
    except OSError as error:
        if error.errno in _ABSENT:
            return None
        raise


def put(path: str, name: str, value: bytes | None) -> None:
    """Set the attribute, or take it away when `value` is None. Raises `OSError`."""
    if value is not None:
        os.setxattr(path, name, value)
        return
    try:
        os.removexattr(path, name)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
