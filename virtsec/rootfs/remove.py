"""Removing a tree: nothing is followed, nothing mounted is entered, however deep it is."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from virtsec.errors import Refused
from virtsec.kernel.mounts import mounted_at_or_beneath
from virtsec.kernel.openat2 import open_beneath
from virtsec.rootfs.trouble import explained
from virtsec.rootfs.trust import check_parents
from virtsec.rootfs.walk import Root, opened
from virtsec.step import Progress, Silent, shown

#: Directories deeper than this are moved to the top first: descriptors and names stay bounded.
_DEPTH = 64


def remove_tree(path: PurePosixPath, progress: Progress | None = None) -> None:
    """Remove the directory at `path` and all in it. What was removed before stays removed.

    Raises `Refused` when something is mounted in it or others than root own the way to it,
    `NotFound`, `RootfsFailed`.
    """
    check_parents(path)
    with (
        explained("remove", path),
        shown(progress or Silent(), f"remove {path}") as advance,
    ):
        with opened(path) as root:
            _refuse_mounts(root)
            _empty(root.descriptor, advance)
        Path(path).rmdir()


def remove_at(directory: int, name: str) -> None:
    """Remove what is called `name` in an open directory, all of it. Raises `OSError`."""
    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=directory)
        return
    below = open_beneath(directory, name, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _empty(below, lambda _: None)
    finally:
        os.close(below)
    os.rmdir(name, dir_fd=directory)


def refuse_mounts(path: PurePosixPath) -> None:
    """Raise `Refused` when something is mounted at or under `path`."""
    with explained("read", path), opened(path) as root:
        _refuse_mounts(root)


def _refuse_mounts(root: Root) -> None:
    if mounted_at_or_beneath(root.path):
        raise Refused(
            f"{root.path} has something mounted in it.", "Unmount it, then run the command again."
        )


def _empty(directory: int, advance: Callable[[int], None]) -> None:
    """Remove everything in an open directory; what was moved to its top goes in the next round."""
    while _clear(directory, directory, _DEPTH, advance):
        pass


def _clear(directory: int, top: int, levels: int, advance: Callable[[int], None]) -> int:
    """Returns how many entries there were."""
    with os.scandir(directory) as listing:
        entries = list(listing)
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.name, dir_fd=directory)
        elif levels == 0:
            away = f".virtsec-{secrets.token_hex(8)}"
            os.rename(entry.name, away, src_dir_fd=directory, dst_dir_fd=top)
        else:
            below = open_beneath(directory, entry.name, os.O_RDONLY | os.O_DIRECTORY)
            try:
                _clear(below, top, levels - 1, advance)
            finally:
                os.close(below)
            os.rmdir(entry.name, dir_fd=directory)
    advance(len(entries))
    return len(entries)
