"""What of the host containers may not even read: which files, and putting the label `host` on them.

Only what is labelled `_`, as everything is at first, is ever labelled, and only `host` is taken off
again: so a container's tree beneath a listed directory, or a label of somebody else's, stays as it
is, and to go back nothing has to be remembered but which paths were gone through.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from virtsec.errors import BadInput
from virtsec.kernel import xattrs
from virtsec.mac.smack.rule import ATTRIBUTE, FLOOR, HOST, TRANSMUTE


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of host-files.conf."""

    pattern: str  #: absolute; `*` in the last part stands for any characters
    tree: bool  #: a directory, and all beneath it on the same file system
    reason: str

    @property
    def line(self) -> str:
        """The entry as a line, without the reason."""
        return self.pattern + ("/" if self.tree else "")


def parse(text: str, source: str) -> list[Entry]:
    """The entries in `text`; raises `BadInput` naming the line of `source` that makes no sense."""
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        path, _, reason = line.strip().partition(" ")
        if not path or path.startswith("#"):
            continue
        parts = path.rstrip("/").split("/")
        plain = parts[0] == "" and len(parts) > 1 and not {"", ".", ".."} & set(parts[1:])
        if not plain or any(letter in "/".join(parts[:-1]) for letter in "*?["):
            raise BadInput(
                f"Line {number} of {source} names no path: {path}",
                "Begin it with an absolute path; only its last part may have a *.",
            )
        entries.append(Entry("/".join(parts), path.endswith("/"), reason.strip()))
    return entries


def unlabelled(entries: Iterable[Entry], root: Path) -> bool:
    """Whether anything that should be labelled `host` is not; stops at the first."""
    return any(True for _ in _exposed(entries, root))


def protect(entries: Iterable[Entry], root: Path, *, check: bool = False) -> list[Path]:
    """Label what is labelled `_`, or with `check` only find it; returns where it is.

    Raises `OSError`.
    """
    found = []
    for inode, directory in _exposed(entries, root):
        with _passing_over():
            place = Path(inode).readlink()
            if not check:
                xattrs.put(inode, ATTRIBUTE, HOST.encode())
                if directory:
                    xattrs.put(inode, TRANSMUTE, b"TRUE")
            found.append(place)
    return found


def expose(entries: Iterable[Entry], root: Path, but: Iterable[Entry] = ()) -> None:
    """Take the label off again, where no entry of `but` is about the same. Raises `OSError`."""
    kept = {_identity(inode) for inode, _ in _inodes(but, root)}
    for inode, directory in _inodes(entries, root):
        if _label_of(inode) == HOST and _identity(inode) not in kept:
            with _passing_over():
                if directory:
                    xattrs.put(inode, TRANSMUTE, None)
                xattrs.put(inode, ATTRIBUTE, None)


def _exposed(entries: Iterable[Entry], root: Path) -> Iterator[tuple[str, bool]]:
    """Those of `_inodes` that have no label of their own, and may get one."""
    for inode, directory in _inodes(entries, root):
        if _label_of(inode) == FLOOR and not os.statvfs(inode).f_flag & os.ST_RDONLY:
            yield inode, directory


def _inodes(entries: Iterable[Entry], root: Path) -> Iterator[tuple[str, bool]]:
    """A path to each inode that exists, held open while it is looked at, and if it is a directory.

    No link is followed, so none in a listed directory leads to what is not listed.
    """
    for entry in entries:
        parent, _, name = entry.pattern.rpartition("/")
        for path in sorted((root / parent.lstrip("/")).glob(name)):
            with _held(str(path), None) as held:
                if held is None:
                    continue
                yield held
                directory = held[1]
            if entry.tree and directory:
                yield from _beneath(path)


def _beneath(top: Path) -> Iterator[tuple[str, bool]]:
    device = top.lstat().st_dev
    for _, directories, files, descriptor in os.fwalk(top, follow_symlinks=False):
        inside = []
        for name in [*directories, *files]:
            with _held(name, descriptor) as held:
                if held is None:
                    continue
                if held[1]:
                    if Path(held[0]).stat().st_dev != device:
                        continue
                    inside.append(name)
                yield held
        directories[:] = inside


@contextmanager
def _held(path: str, directory: int | None) -> Iterator[tuple[str, bool] | None]:
    """A path to the inode at `path` and whether it is a directory; None for links and nothing."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    try:
        mode = os.fstat(descriptor).st_mode
        yield None if stat.S_ISLNK(mode) else (xattrs.held(descriptor), stat.S_ISDIR(mode))
    finally:
        os.close(descriptor)


def _identity(inode: str) -> tuple[int, int]:
    status = Path(inode).stat()
    return status.st_dev, status.st_ino


def _label_of(inode: str) -> str:
    """The label of an inode; one whose file system keeps none has that of its superblock."""
    value = xattrs.get(inode, ATTRIBUTE)
    return FLOOR if value is None else value.decode("ascii", "replace")


@contextmanager
def _passing_over() -> Iterator[None]:
    """Pass over file systems that keep no labels, such as a FAT /boot."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
