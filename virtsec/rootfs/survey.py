"""The reading half of a walk: what would have to change, decided before anything is changed.

Nothing here writes. The tree may belong to a hostile process, so `virtsec.rootfs.change` looks at
each inode once more when it holds it.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from stat import S_ISLNK, S_ISREG
from typing import Protocol

from virtsec.errors import Refused, RootfsFailed
from virtsec.kernel import xattrs
from virtsec.kernel.openat2 import open_in_root
from virtsec.rootfs.note import noted
from virtsec.rootfs.shift import ForeignId, Shift
from virtsec.rootfs.walk import Directory, Root, directories
from virtsec.shares import dealt, spread

#: Inodes that one process is done with before others could help.
SMALL = 4000
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

    @property
    def labels_alone(self) -> bool:
        """Whether an inode that has its attributes is as it is to be."""
        return not (self.shift.sources or self.resumed or self.noting or self.giving_back)

    def attributes(self, inode: int, *, directory: bool) -> Attributes:
        """The attributes an inode is to have."""
        if directory:
            return self.directories
        return self.init if inode == self.init_inode else self.files


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
    """Names of one inode that has several, and is to be changed."""

    path: PurePosixPath
    expected: int
    seen: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class _Seen:
    """What one process found."""

    inodes: int = 0
    changes: list[tuple[str, list[str]]] = field(default_factory=list)
    links: dict[int, _Links] = field(default_factory=dict)

    def add(self, more: _Seen) -> None:
        """Take in what another found."""
        self.inodes += more.inodes
        self.changes += more.changes
        for inode, links in more.links.items():
            known = self.links.setdefault(inode, links)
            if known is not links:
                known.seen += links.seen


def survey(root: Root, wanted: Wanted, advance: Callable[[int], None]) -> Survey:
    """Read the whole tree; `advance` is told how many inodes more were read.

    Raises `RootfsFailed` for an owner that belongs to nobody here, `Refused` for a file to be
    changed that has names outside the tree.
    """
    seen = _Seen()
    with named(root.path):
        top = os.fstat(root.descriptor)
        attributes = wanted.attributes(top.st_ino, directory=True)
        path = xattrs.held(root.descriptor) + "/."
        if _differs(path, lambda *, follow_symlinks: top, attributes, wanted):  # noqa: ARG005
            seen.changes.append(("", ["."]))
    pending = deque([""])
    for directory in directories(root, pending):
        _look(root, directory, xattrs.held(directory.descriptor) + "/", wanted, seen)
        advance(len(directory.entries))
        if seen.inodes >= SMALL:
            break

    def one_share(paths: list[str]) -> _Seen:
        """Done by a process of its own, which may be anywhere: names are all it has to look up."""
        found = _Seen()
        for directory in directories(root, deque(paths)):
            os.fchdir(directory.descriptor)
            _look(root, directory, "", wanted, found)
        return found

    for more in spread(one_share, dealt(list(pending))):
        seen.add(more)
        advance(more.inodes)
    return Survey(seen.inodes, seen.changes, dict(_wholly_inside(seen.links)))


def _look(root: Root, directory: Directory, prefix: str, wanted: Wanted, seen: _Seen) -> None:
    """Look at what is in a directory; with `prefix` in front a name leads to its inode."""
    names: list[str] = []
    labels_alone = wanted.labels_alone
    for entry in directory.entries:
        name = entry.name
        try:
            beneath = entry.is_dir(follow_symlinks=False)
            attributes = wanted.attributes(entry.inode(), directory=beneath)
            if labels_alone:  # most walks of most trees: nothing else is looked at
                if _has(prefix + name, attributes):
                    continue
            elif not _differs(prefix + name, entry.stat, attributes, wanted):
                continue
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        except (ForeignId, ValueError):
            with named(root.path / directory.path / name):
                raise
        names.append(name)
        if found.st_nlink > 1 and not beneath:
            shown = root.path / directory.path / name
            known = seen.links.setdefault(found.st_ino, _Links(shown, found.st_nlink))
            known.seen.append((directory.path, name))
    if names:
        seen.changes.append((directory.path, names))
    seen.inodes += len(directory.entries)


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


class _Look(Protocol):
    """`os.DirEntry.stat`: called where it is needed only, since it is half of what a walk takes."""

    def __call__(self, *, follow_symlinks: bool) -> os.stat_result: ...


def _differs(path: str, look: _Look, attributes: Attributes, wanted: Wanted) -> bool:
    """Whether an inode is to be changed; `path` leads to it through a held directory.

    Raises `ForeignId`, `ValueError`.
    """
    if wanted.shift.sources and _moves(path, look(follow_symlinks=False), wanted.shift):
        return True
    if wanted.noting or wanted.giving_back:
        note = noted(path, follow=False)
        if wanted.noting and note is None:
            return True
        if wanted.giving_back and note is not None:
            attributes = note
    if not _has(path, attributes):
        return True
    return wanted.resumed and xattrs.get(path, PENDING, follow=False) is not None


def _has(path: str, attributes: Attributes) -> bool:
    """Whether the inode has all these attributes."""
    for name, value in attributes.items():  # noqa: SIM110  (a generator for each inode takes long)
        if xattrs.get(path, name, follow=False) != value:
            return False
    return True


def _moves(path: str, found: os.stat_result, shift: Shift) -> bool:
    if shift.moved(found.st_uid) == found.st_uid and shift.moved(found.st_gid) == found.st_gid:
        return False
    if not S_ISLNK(found.st_mode):
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
        else:
            raise Refused(
                f"{known.path} has another name outside the tree: "
                "a change here would change that file too.",
                "Replace it by a copy of its own, or remove one of the names.",
            )


def find_init(root: Root, init: PurePosixPath) -> int:
    """The inode number of what `init` leads to inside the tree. Raises as `open_init` does."""
    descriptor = open_init(root, init)
    try:
        return os.fstat(descriptor).st_ino
    finally:
        os.close(descriptor)


def open_init(root: Root, init: PurePosixPath) -> int:
    """An O_PATH descriptor of what `init` leads to inside the tree, its links followed there.

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
    found = os.fstat(descriptor)
    if not S_ISREG(found.st_mode) or found.st_dev != root.device:
        os.close(descriptor)
        raise missing
    return descriptor
