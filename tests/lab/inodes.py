"""A tree's inodes as the host sees them, to compare what one was with what it is."""

import os
from pathlib import Path

#: Owner, group, mode and attributes of an inode, labels among them.
Inode = tuple[int, int, int, dict[str, bytes]]


def inodes(root: Path) -> dict[Path, Inode]:
    """All of a tree, its root among them."""
    found = {}
    for path in (root, *root.rglob("*")):
        status = path.lstat()
        names = os.listxattr(path, follow_symlinks=False)
        attributes = {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
        found[path] = (status.st_uid, status.st_gid, status.st_mode, attributes)
    return found
