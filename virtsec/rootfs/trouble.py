"""What the user sees of work on a tree: its progress, and the kernel's errors as sentences."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath

from virtsec.errors import RootfsFailed

_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_ATTRIBUTES = (errno.EOPNOTSUPP,)


def full(path: PurePath) -> RootfsFailed:
    """There was no room left for what goes to `path`."""
    return RootfsFailed(
        f"The file system of {path} is full.", "Make room there, then run the command again."
    )


def changed(path: PurePath) -> RootfsFailed:
    """Something in the tree moved while it was worked on."""
    return RootfsFailed(
        f"{path} was changed by somebody else while virtsec worked on it.",
        "Stop whatever uses the tree, then run the command again.",
    )


@contextmanager
def explained(doing: str, path: PurePath) -> Iterator[None]:
    """Raise `RootfsFailed` for an `OSError`; `doing` completes 'Could not …', as in 'label'."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise full(path) from error
        if error.errno in _NO_ATTRIBUTES:
            raise RootfsFailed(
                f"The file system of {path} keeps no extended attributes.",
                "Use one that does, such as ext4, xfs or btrfs.",
            ) from error
        # What is reached through a held descriptor has no name worth telling.
        name = str(error.filename or "")
        where = "" if not name or name.startswith("/proc/") else f" ({name})"
        reason = os.strerror(error.errno or 0)
        raise RootfsFailed(f"Could not {doing} {path}: {reason}{where}.") from error
