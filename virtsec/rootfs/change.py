"""The writing half of a walk: owners and labels of the inodes that a survey named.

Each inode is held by a descriptor, looked at again, and changed through that descriptor, so a
rename, link or mount made meanwhile leads nowhere. Two rules keep inodes outside the tree safe:
one with a single name, reached from the tree's root through directories, is the tree's; one with
several is changed only when the survey saw all of them in the tree.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

from virtsec.kernel import filecap, xattrs
from virtsec.rootfs.shift import ForeignId, Shift
from virtsec.rootfs.survey import PENDING, Survey, Wanted, named, translated
from virtsec.rootfs.trouble import changed, explained
from virtsec.rootfs.walk import Root, descend

_MODE = struct.Struct("<I")
_SET_ID = stat.S_ISUID | stat.S_ISGID


def change(root: Root, wanted: Wanted, found: Survey, advance: Callable[[int], None]) -> None:
    """Make the inodes named in `found` as `wanted`; `advance` is told how many more are done.

    May be interrupted anywhere and run again after a new survey. Raises `RootfsFailed`, `OSError`.
    """
    for path, names in found.changes:
        try:
            directory = descend(root, path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise changed(root.path / path) from error
        try:
            for name in names:
                try:
                    _change_entry(directory, name, root, wanted, found.linked)
                except FileNotFoundError:
                    continue
                except OSError:
                    with explained("change", root.path / path / name):
                        raise
                except _Elsewhere as error:
                    raise changed(root.path / path / name) from error
                except (ForeignId, ValueError):
                    with named(root.path / path / name):
                        raise
        finally:
            os.close(directory)
        advance(len(names))


class _Elsewhere(Exception):
    """An inode that is, or may be, another than the survey saw."""


def _change_entry(directory: int, name: str, root: Root, wanted: Wanted, linked: set[int]) -> None:
    held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    try:
        found = os.fstat(held)
        single = found.st_nlink == 1 or stat.S_ISDIR(found.st_mode)
        if found.st_dev != root.device or not (single or found.st_ino in linked):
            raise _Elsewhere
        path = xattrs.held(held)
        if wanted.resumed:
            _finish(path, found)
        if wanted.shift.sources:
            _move(path, found, wanted.shift)
        for attribute, value in wanted.attributes(found).items():
            xattrs.put(path, attribute, value)
    finally:
        os.close(held)


def _move(path: str, found: os.stat_result, shift: Shift) -> None:
    """Change the owner and keep what chown takes away: setuid, setgid and file capabilities."""
    uid, gid = shift.moved(found.st_uid), shift.moved(found.st_gid)
    if (uid, gid) == (found.st_uid, found.st_gid):
        return
    if stat.S_ISLNK(found.st_mode):
        os.chown(path, uid, gid)
        return
    attributes = translated(path, shift, follow=True)
    capability = attributes.pop(xattrs.FILE_CAPABILITY, None)
    for name, value in attributes.items():
        xattrs.put(path, name, value)
    if stat.S_ISDIR(found.st_mode) or not (capability or found.st_mode & _SET_ID):
        os.chown(path, uid, gid)
        return
    # Written down on the inode first: whoever takes an interrupted shift up again finds it there.
    mode = stat.S_IMODE(found.st_mode)
    xattrs.put(path, PENDING, _MODE.pack(mode) + (capability or b""))
    os.chown(path, uid, gid)
    _give_back(path, mode, capability)


def _finish(path: str, found: os.stat_result) -> None:
    """End the change of an inode that an interrupted shift had begun."""
    if stat.S_ISLNK(found.st_mode):
        return
    pending = xattrs.get(path, PENDING)
    if pending is not None:
        mode, capability = _read_pending(pending)
        _give_back(path, mode, capability)


def _read_pending(value: bytes) -> tuple[int, bytes | None]:
    """Raises `ValueError` for what virtsec cannot have written."""
    capability = value[_MODE.size :] or None
    if capability is not None:
        filecap.parse(capability)
    if len(value) < _MODE.size:
        raise ValueError("no mode")
    return stat.S_IMODE(_MODE.unpack_from(value)[0]), capability


def _give_back(path: str, mode: int, capability: bytes | None) -> None:
    Path(path).chmod(mode)
    if capability is not None:
        xattrs.put(path, xattrs.FILE_CAPABILITY, capability)
    xattrs.put(path, PENDING, None)
