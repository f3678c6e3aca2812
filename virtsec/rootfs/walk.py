"""Going through a tree that a hostile process may own: by descriptors, never through a link.

Every directory is opened from the root's own descriptor with openat2, which refuses links and
mount points on the way, whatever is renamed meanwhile.
"""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from virtsec.errors import BadInput, NotFound
from virtsec.kernel.mounts import mounted_at_or_beneath
from virtsec.kernel.openat2 import open_beneath
from virtsec.rootfs.trouble import changed

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
#: A path given to the kernel must stay below PATH_MAX (4,096 bytes, four to a character at most);
#: a hostile tree may be deeper.
_PIECE = 1000
_SWAPPED = (errno.ELOOP, errno.ENOTDIR)


@dataclass(frozen=True, slots=True)
class Root:
    """A tree's root directory, held open."""

    descriptor: int
    path: PurePosixPath  #: without links, for sentences and mount points
    device: int
    mounts: frozenset[str]  #: paths under the root where something is mounted


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory of a tree, open while it is being looked at."""

    path: str  #: relative to the root, '' for the root itself
    descriptor: int
    entries: list[os.DirEntry[str]]


@contextmanager
def opened(path: PurePosixPath) -> Iterator[Root]:
    """The root directory at `path`. Raises `NotFound`, `BadInput` when it is no directory."""
    try:
        descriptor = os.open(path, _DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NotFound(f"There is no directory {path}.", "Name one that is there.") from None
    except OSError as error:
        if error.errno in _SWAPPED:
            raise BadInput(f"{path} is not a directory.", "Name a directory.") from None
        raise
    try:
        real = PurePosixPath(Path(f"/proc/self/fd/{descriptor}").readlink())
        mounts = frozenset(
            str(point.relative_to(real)) for point in mounted_at_or_beneath(real) if point != real
        )
        yield Root(descriptor, real, os.fstat(descriptor).st_dev, mounts)
    finally:
        os.close(descriptor)


def descend(root: Root, path: str, flags: int = _DIRECTORY) -> int:
    """A descriptor of the directory at `path` under `root`, however deep. Raises `OSError`."""
    current = root.descriptor
    for piece in pieces(path):
        try:
            below = open_beneath(current, piece, flags)
        finally:
            if current != root.descriptor:
                os.close(current)
        current = below
    return current


def pieces(path: str, limit: int = _PIECE) -> Iterator[str]:
    """`path` in parts of at most `limit` characters, cut at slashes; '.' for ''; pure."""
    start = 0
    while len(path) - start > limit:
        cut = path.rfind("/", start, start + limit)
        yield path[start:cut]
        start = cut + 1
    yield path[start:] or "."


def directories(root: Root, pending: deque[str] | None = None) -> Iterator[Directory]:
    """Every directory of the tree, parents first, mount points left out.

    With `pending` these and what is beneath them; it always has those that are still to come.
    Directories that vanish meanwhile are passed over; one that turns into something else raises
    `RootfsFailed`.
    """
    if pending is None:
        pending = deque([""])
    while pending:
        path = pending.popleft()
        try:
            descriptor = descend(root, path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EXDEV):
                continue
            if error.errno in _SWAPPED:
                raise changed(root.path / path) from error
            raise
        try:
            with os.scandir(descriptor) as listing:
                entries = list(listing)
            prefix = path and path + "/"
            if root.mounts:
                entries = [e for e in entries if prefix + e.name not in root.mounts]
            # Before the descriptor is closed: where the kind is not known yet it takes a stat.
            pending.extend(prefix + e.name for e in entries if e.is_dir(follow_symlinks=False))
            yield Directory(path, descriptor, entries)
        finally:
            os.close(descriptor)
