"""What a root is made from, looked at before anything is made."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path, PurePosixPath

from virtsec.errors import BadInput, NotFound, Refused, RootfsFailed
from virtsec.rootfs import debian
from virtsec.rootfs.archive import check_archive
from virtsec.rootfs.shift import start_of
from virtsec.rootfs.survey import find_init
from virtsec.rootfs.trouble import explained
from virtsec.rootfs.trust import check_parents
from virtsec.rootfs.unfinished import is_unfinished
from virtsec.rootfs.walk import Root, directories, opened
from virtsec.spec import ID_COUNT, STORE, IdRange

DEFAULT_INIT = PurePosixPath("/sbin/init")
_TOPS = ("etc", "usr", "bin")


class SourceKind(StrEnum):
    """Where a root comes from."""

    EXISTING = "existing"  #: the directory is at `rootfs` already and becomes the container's
    TREE = "tree"  #: a directory, copied
    TAR = "tar"  #: a tar archive, plain or compressed by gzip, xz or zstd
    DEBIAN = "debian"  #: built by mmdebstrap


@dataclass(frozen=True, slots=True)
class Source:
    """A source that was found fit."""

    kind: SourceKind
    members: int | None = None  #: how many files it has, None where that is not known yet
    acls: bool = True  #: whether any of them may have one


def default_source(rootfs: PurePosixPath) -> str | None:
    """What to use when nothing was named: the directory that is there (None), or Debian.

    Raises `HostNotReady` when the host does not say which release it is.
    """
    if os.path.lexists(rootfs) and not is_unfinished(rootfs):
        return None
    return debian.default()


def inspect_source(
    source: str | None,
    rootfs: PurePosixPath,
    init: PurePosixPath = DEFAULT_INIT,
    store: PurePosixPath = STORE,
) -> Source:
    """Look at a source without changing anything.

    Raises `BadInput` when it is missing, no Linux root (there must be /etc, /usr or /bin, and
    `init`) or an archive with members that leave the tree; `Refused` when `rootfs` is taken or
    others may write to the directories above it; `HostNotReady` when a program is missing.
    """
    if not rootfs.is_absolute() or ".." in rootfs.parts:
        raise BadInput(f"{rootfs} is not an absolute path.", "Write it from / on, without '..'.")
    check_parents(rootfs)
    check_place(rootfs, store)
    if source is None:
        with explained("read", rootfs), opened(rootfs) as root:
            check_root(root, init)
        return Source(SourceKind.EXISTING)
    _check_free(rootfs, store)
    if source.startswith(debian.PREFIX):
        debian.check_suite(source)
        return Source(SourceKind.DEBIAN)
    path = Path(source)
    if path.is_dir():
        return Source(SourceKind.TREE, _check_tree(path, rootfs, init))
    try:
        found = path.stat()
    except OSError:
        return _read_archive(path, init)  # says what is wrong
    content = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
    return _known_archive(path, init, content)


@lru_cache
def _known_archive(path: Path, init: PurePosixPath, content: tuple[int, ...]) -> Source:  # noqa: ARG001
    """What one process reads once for many containers, as long as the file is the same."""
    return _read_archive(path, init)


def _read_archive(path: Path, init: PurePosixPath) -> Source:
    members = check_archive(path, init)
    return Source(SourceKind.TAR, members.count, members.acls)


def check_root(root: Root, init: PurePosixPath) -> None:
    """Raise `BadInput` unless an open tree is a Linux root other than the host's own."""
    top = Path("/").stat()
    here = os.fstat(root.descriptor)
    if (here.st_dev, here.st_ino) == (top.st_dev, top.st_ino):
        raise Refused(
            f"{root.path} is the host's own root.", "Give the container a directory of its own."
        )
    if not any(_is_there(root, name) for name in _TOPS):
        raise BadInput(
            f"{root.path} is no Linux root: it has none of /etc, /usr and /bin.",
            "Name a directory with a whole Linux system in it.",
        )
    try:
        find_init(root, init)
    except RootfsFailed as error:
        raise BadInput(error.sentence, error.remedy) from None


def _is_there(root: Root, name: str) -> bool:
    try:
        os.stat(name, dir_fd=root.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def check_place(rootfs: PurePosixPath, store: PurePosixPath = STORE) -> None:
    """Raise `BadInput` for a path in the store that is no root's; pure."""
    if rootfs.is_relative_to(store) and rootfs.parent.parent != store:
        raise BadInput(
            f"{rootfs} is not a place for a root in {store}.",
            f"Use {store}/NAME/rootfs, or a place outside of {store}.",
        )


def _check_free(rootfs: PurePosixPath, store: PurePosixPath) -> None:
    """A new tree takes a place that is free, in a directory that is there or virtsec's own."""
    if os.path.lexists(rootfs) and not is_unfinished(rootfs):
        raise Refused(
            f"{rootfs} is there already.",
            "Leave --from out to use it as it is, name another place with --rootfs, or remove it.",
        )
    if not rootfs.is_relative_to(store) and not Path(rootfs.parent).is_dir():
        raise NotFound(f"There is no directory {rootfs.parent}.", "Make it first.")


def tree_ids(root: Root) -> IdRange | None:
    """The range that the owners in an open tree are in; None where they are not shifted."""
    base = start_of(os.fstat(root.descriptor).st_uid, 0)
    return IdRange(base) if base else None


def _check_tree(path: Path, rootfs: PurePosixPath, init: PurePosixPath) -> int:
    """How many members a copy of the tree at `path` would have. Raises `BadInput`."""
    with explained("read", path), opened(PurePosixPath(path.resolve())) as root:
        check_root(root, init)
        if PurePosixPath(os.path.realpath(rootfs)).is_relative_to(root.path):
            raise BadInput(f"{rootfs} is inside of {path}.", "Name another place with --rootfs.")
        ids = tree_ids(root)
        base = 0 if ids is None else ids.start
        count = 1
        for directory in directories(root):
            if directory.path == "dev":
                continue
            for entry in directory.entries:
                shown = path / directory.path / entry.name
                found = entry.stat(follow_symlinks=False)
                for identity in (found.st_uid, found.st_gid):
                    if not base <= identity < base + ID_COUNT:
                        raise BadInput(
                            f"{shown} belongs to the id {identity}; the owners of a tree must lie "
                            f"within {base} to {base + ID_COUNT - 1}.",
                            "Give the file to another owner, or remove it.",
                        )
                if not directory.path.startswith("dev/"):
                    _check_kind(found.st_mode, shown)
                    count += 1
        return count


def _check_kind(mode: int, shown: Path) -> None:
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) or stat.S_ISFIFO(mode):
        kind = "fifo" if stat.S_ISFIFO(mode) else "device node"
        raise BadInput(f"{shown} is a {kind} outside /dev.", "Remove it; then copy the tree.")
