"""The writing half of a walk: owners and labels of the inodes that a survey named.

Each inode is held by a descriptor, looked at again, and changed through that descriptor, so a
rename, link or mount made meanwhile leads nowhere. One rule keeps inodes outside the tree safe: an
inode is the tree's when it has as many names as are found in the tree while it is looked at, and
none was made or taken away meanwhile.
"""

from __future__ import annotations

import os
import stat
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from virtsec.kernel import filecap, xattrs
from virtsec.rootfs import note
from virtsec.rootfs.shift import ForeignId, Shift
from virtsec.rootfs.survey import PENDING, SMALL, Survey, Wanted, named, translated
from virtsec.rootfs.trouble import changed, explained
from virtsec.rootfs.walk import Root, descend
from virtsec.shares import dealt, spread

_MODE = struct.Struct("<I")
_SET_ID = stat.S_ISUID | stat.S_ISGID
#: Nanoseconds within which two changes may leave the same time on an inode: ticks of the clock the
#: kernel stamps with, and a second where the file system keeps no fractions.
_TICKS, _SECOND = 50_000_000, 1_100_000_000
_LOOKS = 3

Changes = Sequence[tuple[str, Sequence[str]]]  #: directories, and names in each
Linked = Mapping[int, Sequence[tuple[str, str]]]  #: an inode's names: see `Survey.linked`


def change(root: Root, wanted: Wanted, found: Survey, advance: Callable[[int], None]) -> None:
    """Make the inodes named in `found` as `wanted`; `advance` is told how many more are done.

    May be interrupted anywhere and run again after a new survey. Raises `RootfsFailed`, `OSError`.
    """
    if found.total <= SMALL:
        for number in _changed(root, wanted, found.changes, found.linked):
            advance(number)
        return
    # An inode with several names is looked at by one process, which knows them all.
    several = {place for names in found.linked.values() for place in names}
    together: list[tuple[str, list[str]]] = []
    apart: list[tuple[str, list[str]]] = []
    for path, names in found.changes:
        for chosen, share in (
            ([name for name in names if (path, name) in several], together),
            ([name for name in names if (path, name) not in several], apart),
        ):
            if chosen:
                share.append((path, chosen))
    for number in _changed(root, wanted, together, found.linked):
        advance(number)
    for number in spread(lambda share: sum(_changed(root, wanted, share, {})), dealt(apart)):
        advance(number)


def _changed(root: Root, wanted: Wanted, changes: Changes, linked: Linked) -> Iterator[int]:
    """Change them, directory by directory; gives how many more are done."""
    done: set[int] = set()  # those with several names that were changed by another of them
    for path, names in changes:
        try:
            directory = descend(root, path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise changed(root.path / path) from error
        place = _Place(root, path, directory, time.time_ns())
        try:
            for name in names:
                try:
                    _change_entry(place, name, wanted, linked, done)
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
        yield len(names)


@dataclass(frozen=True, slots=True)
class _Place:
    """A directory of the tree, held open."""

    root: Root
    path: str
    descriptor: int
    since: int  #: when it was opened, in nanoseconds


class _Elsewhere(Exception):
    """An inode that is, or may be, another than the survey saw."""


def _change_entry(place: _Place, name: str, wanted: Wanted, linked: Linked, done: set[int]) -> None:
    root = place.root
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    held = os.open(name, flags, dir_fd=place.descriptor)
    try:
        found = os.fstat(held)
        if found.st_dev != root.device:
            raise _Elsewhere
        if not stat.S_ISDIR(found.st_mode):
            if found.st_ino in done:
                return
            if not _had_one_name(found, place.since):
                names = linked.get(found.st_ino, [(place.path, name)])
                found = _the_trees_own(root, names, held)
                if len(names) > 1:
                    done.add(found.st_ino)
        inode = xattrs.held(held)
        if wanted.resumed:
            _finish(inode, found)
            found = os.fstat(held)  # its mode is whole again
        if wanted.shift.sources:
            _move(inode, found, wanted.shift)
        _mark(inode, found, wanted)
    finally:
        os.close(held)


def _mark(inode: str, found: os.stat_result, wanted: Wanted) -> None:
    """Set the attributes; a note of what was there before is taken first."""
    attributes = wanted.attributes(found.st_ino, directory=stat.S_ISDIR(found.st_mode))
    if wanted.noting:
        note.take(inode, attributes)
    if wanted.giving_back:
        attributes = note.noted(inode) or attributes
    for attribute, value in attributes.items():
        xattrs.put(inode, attribute, value)


def _had_one_name(found: os.stat_result, since: int) -> bool:
    """Whether the inode had one name, and the same, ever since the time `since`.

    It was held by a name in the tree after that, so this is all it has: every link, unlink and
    rename since would have left a later time of change on it.
    """
    return found.st_nlink == 1 and found.st_ctime_ns + _unclear(found) < since


def _unclear(found: os.stat_result) -> int:
    """Within which time after its last change another may have left the same time; nanoseconds."""
    return _TICKS if found.st_ctime_ns % 1_000_000_000 else _SECOND


def _the_trees_own(root: Root, names: Sequence[tuple[str, str]], held: int) -> os.stat_result:
    """What `held` is, once it is certain that `names` are all it has. Raises `_Elsewhere`.

    Their count alone proves nothing: it may be linked into the tree and unlinked again, from a name
    outside that stays. They are all when each led to it between two looks that found as many names
    and the same time of change, which every link, unlink and rename sets. Two of these within a
    tick set the same, so a change that is as fresh as that is waited out first.
    """
    for _ in range(_LOOKS):
        now = time.time_ns()
        before = os.fstat(held)
        age = now - before.st_ctime_ns
        unclear = _unclear(before)
        if 0 <= age < unclear:
            time.sleep((unclear - age) / 1_000_000_000)
            continue
        places = {_named_at(root, path, name, before) for path, name in names}
        after = os.fstat(held)
        if len(places) == before.st_nlink == after.st_nlink and (
            after.st_ctime_ns == before.st_ctime_ns
        ):
            return after
        break
    raise _Elsewhere


def _named_at(root: Root, path: str, name: str, inode: os.stat_result) -> tuple[int, str]:
    """The directory's inode and the name in it that leads to `inode`; raises `_Elsewhere`.

    A directory that is moved meanwhile has one inode whatever it is called, so it counts once.
    """
    directory = descend(root, path)
    try:
        entry = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if (entry.st_dev, entry.st_ino) != (inode.st_dev, inode.st_ino):
            raise _Elsewhere
        return os.fstat(directory).st_ino, name
    finally:
        if directory != root.descriptor:
            os.close(directory)


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
