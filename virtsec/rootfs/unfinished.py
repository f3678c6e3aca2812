"""Trees that are being made, or removed: told from somebody's by a note on their root.

The note is an attribute only root can set, so that what is removed after a failure, or replaced by
the next run, is never a directory that was there before.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path, PurePosixPath

from virtsec.kernel import xattrs

_UNFINISHED = "trusted.virtsec.unfinished"
_BEGUN, _GOING = b"1", b"going"


def is_unfinished(path: PurePosixPath) -> bool:
    """Whether a directory is one that virtsec was making or removing."""
    return _note(path) is not None


def is_begun(path: PurePosixPath) -> bool:
    """Whether a directory is one that virtsec was making."""
    return _note(path) not in (None, _GOING)


def is_going(path: PurePosixPath) -> bool:
    """Whether a directory is one that virtsec was removing: what is in it is not all there was."""
    return _note(path) == _GOING


def is_gone(path: PurePosixPath) -> bool:
    """Whether nothing is there, or nothing that can be looked at."""
    return not os.path.lexists(path)


def _note(path: PurePosixPath) -> bytes | None:
    try:
        return xattrs.get(str(path), _UNFINISHED, follow=False)
    except FileNotFoundError:
        return None


def make(path: PurePosixPath) -> None:
    """Make a directory, only root's, that has the note from when it has its name on.

    Its place must be free. What is left when this is cut off has another name, and is taken by the
    next that makes it. Raises `OSError`, and leaves nothing then.
    """
    young = young_of(path)
    Path(young).mkdir(0o700, exist_ok=True)
    try:
        begin(young)
        Path(young).rename(path)
    except OSError:
        with suppress(OSError):
            Path(young).rmdir()
        raise


def young_of(path: PurePosixPath) -> PurePosixPath:
    """The name of a directory until it has the note: nothing is in it; pure."""
    return path.with_name(f".{path.name}")


def begin(path: PurePosixPath) -> None:
    """Note that the directory is being made. Raises `OSError`."""
    os.setxattr(path, _UNFINISHED, _BEGUN, follow_symlinks=False)


def end(path: PurePosixPath) -> None:
    """Note that the directory is being removed. Raises `OSError`."""
    os.setxattr(path, _UNFINISHED, _GOING, follow_symlinks=False)


def keep(path: PurePosixPath) -> None:
    """Take the note away: the tree is somebody's from here on. Raises `OSError`."""
    xattrs.put(str(path), _UNFINISHED, None)
