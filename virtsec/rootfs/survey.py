"""The reading half of a walk: what would have to change, decided before anything is changed.

Nothing here writes. The tree may belong to a hostile process, so `virtsec.rootfs.change` looks at
each inode once more when it holds it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from virtsec.errors import Refused, RootfsFailed
from virtsec.kernel import xattrs
from virtsec.kernel.openat2 import open_in_root
from virtsec.rootfs.note import noted
from virtsec.rootfs.shift import ForeignId, Shift
from virtsec.rootfs.walk import Root, directories

#: On an inode whose owner is being changed, what that takes away: mode and file capability.
PENDING = "trusted.virtsec.pending"

Attributes = Mapping[str, bytes | None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a tree is to become. A None value takes an attribute away."""

    shift: Shift
    files: Attributes
    directories: Attributes
    init: Attributes = field(default_factory=dict)
    init_inode: int | None = None
    resumed: bool = False  #: an earlier shift did not end: look for `PENDING` as well
    noting: bool = False  #: what was there before is noted on each inode
    giving_back: bool = False  #: what was noted takes the place of these attributes

    def attributes(self, found: os.stat_result) -> Attributes:
        """The attributes an inode is to have."""
        if stat.S_ISDIR(found.st_mode):
            return self.directories
        return self.init if found.st_ino == self.init_inode else self.files


@dataclass(slots=True)
class Survey:
    """What a reading walk found."""

    inodes: int = 0
    changes: list[tuple[str, list[str]]] = field(default_factory=list)  #: directory, names in it
    #: Inodes with several names, all in the tree: directory and name of each.
    linked: dict[int, list[tuple[str, str]]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many names are to be worked on."""
        return sum(len(names) for _, names in self.changes)


@dataclass(slots=True)
class _Links:
    """Names of one inode that has several."""

    path: PurePosixPath
    expected: int
    seen: list[tuple[str, str]] = field(default_factory=list)
    wrong: bool = False


def survey(root: Root, wanted: Wanted, advance: Callable[[int], None]) -> Survey:
    """Read the whole tree; `advance` is told how many inodes more were read.

    Raises `RootfsFailed` for an owner that belongs to nobody here, `Refused` for a file to be
    changed that has names outside the tree.
    """
    result = Survey()
    links: dict[int, _Links] = {}
    with named(root.path):
        if _differs(xattrs.held(root.descriptor) + "/.", os.fstat(root.descriptor), wanted):
            result.changes.append(("", ["."]))
    for directory in directories(root):
        names: list[str] = []
        prefix = xattrs.held(directory.descriptor) + "/"
        for entry in directory.entries:
            name = entry.name
            try:
                found = entry.stat(follow_symlinks=False)
                wrong = _differs(prefix + name, found, wanted)
            except FileNotFoundError:
                continue
            except (ForeignId, ValueError):
                with named(root.path / directory.path / name):
                    raise
            if wrong:
                names.append(name)
            if found.st_nlink > 1 and not stat.S_ISDIR(found.st_mode):
                shown = root.path / directory.path / name
                known = links.setdefault(found.st_ino, _Links(shown, found.st_nlink))
                known.seen.append((directory.path, name))
                known.wrong = known.wrong or wrong
        if names:
            result.changes.append((directory.path, names))
        result.inodes += len(directory.entries)
        advance(len(directory.entries))
    result.linked = dict(_wholly_inside(links))
    return result


@contextmanager
def named(path: PurePosixPath) -> Iterator[None]:
    """Raise `RootfsFailed` naming `path` for ids and attributes that are wrong."""
    try:
        yield
    except ForeignId as foreign:
        raise RootfsFailed(
            f"{path} belongs to the id {foreign.identity}, which is not one of the container's.",
            "Give the file to an id below 65,536, or remove it.",
        ) from foreign
    except ValueError as error:
        raise RootfsFailed(f"{path} has attributes that make no sense: {error}.") from error


def _differs(path: str, found: os.stat_result, wanted: Wanted) -> bool:
    """Whether an inode is to be changed; `path` leads to it through a held directory.

    Raises `ForeignId`, `ValueError`.
    """
    if wanted.shift.sources and _moves(path, found, wanted.shift):
        return True
    attributes = wanted.attributes(found)
    if wanted.noting or wanted.giving_back:
        note = noted(path, follow=False)
        if wanted.noting and note is None:
            return True
        if wanted.giving_back and note is not None:
            attributes = note
    for name, value in attributes.items():
        if xattrs.get(path, name, follow=False) != value:
            return True
    return wanted.resumed and xattrs.get(path, PENDING, follow=False) is not None


def _moves(path: str, found: os.stat_result, shift: Shift) -> bool:
    if shift.moved(found.st_uid) == found.st_uid and shift.moved(found.st_gid) == found.st_gid:
        return False
    if not stat.S_ISLNK(found.st_mode):
        translated(path, shift, follow=False)
    return True


def translated(path: str, shift: Shift, *, follow: bool) -> dict[str, bytes]:
    """The attributes with ids in them that the inode has, as they are to be.

    Raises `ForeignId`, `ValueError`.
    """
    result: dict[str, bytes] = {}
    for name in os.listxattr(path, follow_symlinks=follow):
        if name in (xattrs.ACL_ACCESS, xattrs.ACL_DEFAULT, xattrs.FILE_CAPABILITY):
            value = xattrs.get(path, name, follow=follow)
            if value is not None:
                change = shift.capability if name == xattrs.FILE_CAPABILITY else shift.acl
                result[name] = change(value)
    return result


def _wholly_inside(
    links: Mapping[int, _Links],
) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    for inode, known in links.items():
        if len(known.seen) == known.expected:
            yield inode, known.seen
        elif known.wrong:
            raise Refused(
                f"{known.path} has another name outside the tree: "
                "a change here would change that file too.",
                "Replace it by a copy of its own, or remove one of the names.",
            )


def find_init(root: Root, init: PurePosixPath) -> int:
    """The inode number of what `init` leads to inside the tree, its links followed there.

    Raises `RootfsFailed` when it is no regular file of this tree.
    """
    missing = RootfsFailed(
        f"{root.path} has no init: {init} is not a file in it.",
        "Name the program to be started with --init.",
    )
    try:
        descriptor = open_in_root(root.descriptor, str(init), os.O_PATH)
    except OSError as error:
        raise missing from error
    try:
        found = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_dev != root.device:
        raise missing
    return found.st_ino
