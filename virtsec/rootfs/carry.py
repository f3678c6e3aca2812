"""What a container has done to its base, done to another base: nobody's changes are lost.

A change is what its tree, seen with the base, has that the base has not, or has otherwise, and what
is gone from it. The container has written all of it: everything is held by descriptors, and what
it has is copied by tar where that can do no harm (`virtsec.rootfs.confined`).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from virtsec.kernel import xattrs
from virtsec.kernel.openat2 import open_beneath
from virtsec.rootfs.remove import remove_at
from virtsec.rootfs.shift import Shift
from virtsec.rootfs.unpack import packed, unpack
from virtsec.rootfs.walk import Root, descend, directories
from virtsec.spec import IdRange

#: On an inode of a layer that has no data of its own (overlayfs.rst, "Metadata only copy up").
METACOPY = "trusted.overlay.metacopy"
_NO_DIRECTORY = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Layers:
    """A container's tree, three times."""

    base: Root  #: what it is on
    own: Root  #: its own layer, as it is on disk
    seen: Root  #: both as one


@dataclass(frozen=True, slots=True)
class Changes:
    """Paths relative to the root, a directory before what is in it."""

    made: tuple[str, ...]  #: there, and not in the base, or otherwise there
    gone: tuple[str, ...]  #: in the base alone; what is in such a directory is not named


def changes(layers: Layers, shift: Shift) -> Changes:
    """What a container has changed; `shift` leads from the base's owners to its own.

    Raises `OSError`.
    """
    made: list[str] = []
    gone: list[str] = []
    for directory in directories(layers.seen):
        prefix = directory.path and f"{directory.path}/"
        with _there(layers.base, directory.path) as before:
            missing = set() if before is None else set(os.listdir(before))  # noqa: PTH208
            for entry in directory.entries:
                path = f"{prefix}{entry.name}"
                missing.discard(entry.name)
                if before is None or _differs(layers, path, before, directory.descriptor, shift):
                    made.append(path)
        gone += [f"{prefix}{name}" for name in sorted(missing)]
    return Changes(tuple(made), tuple(gone))


def carry(layers: Layers, target: Root, found: Changes, ids: IdRange | None) -> None:
    """Do the same changes to the tree `target`. Raises `RootfsFailed` and `OSError`."""
    made = dict.fromkeys(each for path in found.made for each in (*_lacking(target, path), path))
    for path in (*found.gone, *made):
        _make_way(layers.seen, target, path)
    if made:
        with packed(layers.seen.descriptor, ids, tuple(made)) as feed:
            unpack(feed, target.descriptor, ids, target.path, lambda _: None)


def _lacking(target: Root, path: str) -> Iterator[str]:
    """The directories above `path` that are none in the target, the highest first."""
    parts = path.split("/")
    for count in range(1, len(parts)):
        above = "/".join(parts[:count])
        with _there(target, above) as directory:
            if directory is None:
                yield above


def _differs(layers: Layers, path: str, before: int, after: int, shift: Shift) -> bool:
    """Whether an entry is otherwise in the directory `after` than in the base's, `before`."""
    name = path.rpartition("/")[2]
    try:
        was, now = (os.stat(name, dir_fd=each, follow_symlinks=False) for each in (before, after))
    except FileNotFoundError:
        return True
    owners = (now.st_uid, now.st_gid) != (shift.moved(was.st_uid), shift.moved(was.st_gid))
    if now.st_mode != was.st_mode or now.st_rdev != was.st_rdev or owners:
        return True
    if stat.S_ISLNK(now.st_mode):
        return os.readlink(name, dir_fd=before) != os.readlink(name, dir_fd=after)
    if stat.S_ISREG(now.st_mode):
        moved = (now.st_size, now.st_mtime_ns) != (was.st_size, was.st_mtime_ns)
        if moved or _has_data(layers.own, path):
            return True
    return _attributes(after, name, Shift((), 0)) != _attributes(before, name, shift)


def _has_data(own: Root, path: str) -> bool:
    """Whether a file of the layer has data of its own."""
    with suppress(FileNotFoundError), _held(own.descriptor, path) as file:
        return xattrs.get(xattrs.held(file), METACOPY) is None
    return False


def _attributes(directory: int, name: str, shift: Shift) -> dict[str, bytes]:
    """The attributes that go where a file goes, of whom the ids in them would be."""
    with _held(directory, name) as file:
        place = xattrs.held(file)
        found = {each: os.getxattr(place, each) for each in os.listxattr(place)}
    kept: dict[str, bytes] = {}
    for each, value in found.items():
        if each.startswith("user."):
            kept[each] = value
        elif each in {xattrs.ACL_ACCESS, xattrs.ACL_DEFAULT}:
            kept[each] = shift.acl(value)
        elif each == xattrs.FILE_CAPABILITY:
            kept[each] = shift.capability(value)
    return kept


def _make_way(seen: Root, target: Root, path: str) -> None:
    """Remove what is in the place of `path`, but for a directory where one is seen."""
    folder, _, name = path.rpartition("/")
    with _there(seen, path) as wanted, _there(target, path) as there:
        if wanted is not None and there is not None:
            return
    with _there(target, folder) as directory:
        if directory is not None:
            with suppress(FileNotFoundError):
                remove_at(directory, name)


@contextmanager
def _there(root: Root, path: str) -> Iterator[int | None]:
    """The directory at `path`; None where there is none."""
    try:
        directory = descend(root, path)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY:
            raise
        yield None
        return
    try:
        yield directory
    finally:
        os.close(directory)


@contextmanager
def _held(directory: int, path: str) -> Iterator[int]:
    file = open_beneath(directory, path, _PATH)
    try:
        yield file
    finally:
        os.close(file)
