"""Making a new tree beside its place, then giving it its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from pathlib import Path, PurePosixPath

from virtsec.kernel import xattrs
from virtsec.rootfs import debian, unfinished
from virtsec.rootfs.archive import opened_archive
from virtsec.rootfs.feed import Feed
from virtsec.rootfs.remove import remove_tree
from virtsec.rootfs.sources import check_root, tree_ids
from virtsec.rootfs.trouble import explained
from virtsec.rootfs.unpack import packed, unpack
from virtsec.rootfs.walk import opened
from virtsec.spec import IdRange


def partial_of(rootfs: PurePosixPath) -> PurePosixPath:
    """The workshop in which a tree grows until it is whole."""
    return rootfs.with_name(f"{rootfs.name}.partial")


def fill(
    rootfs: PurePosixPath,
    source: str,
    ids: IdRange | None,
    init: PurePosixPath,
    advance: Callable[[int], None],
    *,
    name: str,
    attributes: Mapping[str, bytes],
    birth: Callable[[], None],
    acls: bool,
) -> None:
    """Make the tree at `rootfs`, which must be free, as must `partial_of` it.

    `attributes` are put on its root before anything is made in it, and `birth` is run by whoever
    makes it. It is noted as unfinished; when it fails the workshop may be left, noted likewise.
    Raises `RootfsFailed` and what reading the source raises.
    """
    workshop = partial_of(rootfs)
    tree = workshop / "tree"
    owner = 0 if ids is None else ids.start
    with explained("fill", rootfs):
        unfinished.make(workshop)
        unfinished.make(tree)
        with opened(tree) as root:
            os.fchown(root.descriptor, owner, owner)
            os.fchmod(root.descriptor, 0o755)
            for attribute, value in attributes.items():
                xattrs.put(xattrs.held(root.descriptor), attribute, value)
            with closing(_feeds(source, name, Path(workshop))) as feeds:
                for feed in feeds:
                    unpack(feed, root.descriptor, ids, rootfs, advance, birth=birth, acls=acls)
            check_root(root, init)
        Path(tree).rename(rootfs)
    remove_tree(workshop)


def _feeds(source: str, name: str, workshop: Path) -> Generator[Feed, None, None]:
    """What to unpack, one after the other; each is closed when the next is asked for."""
    if source.startswith(debian.PREFIX):
        room = workshop / "build"
        room.mkdir(0o711)
        with debian.built(source, room) as feed:
            yield feed
        with debian.own_files(name) as feed:
            yield feed
    elif Path(source).is_dir():
        with (
            opened(PurePosixPath(Path(source).resolve())) as root,
            packed(root.descriptor, tree_ids(root)) as feed,
        ):
            yield feed
    else:
        with opened_archive(Path(source)) as feed:
            yield feed
