"""A whole tree at once: shifted and labelled, or put to rest."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePosixPath

from virtsec.kernel import xattrs
from virtsec.mac.protocol import TreeMarks
from virtsec.rootfs.change import change
from virtsec.rootfs.note import NOTE, noted
from virtsec.rootfs.shift import Shift, plan_shift, start_of
from virtsec.rootfs.survey import Wanted, find_init, open_init, survey
from virtsec.rootfs.trouble import explained
from virtsec.rootfs.trust import check_parents
from virtsec.rootfs.walk import Root, opened
from virtsec.spec import IdRange
from virtsec.step import Progress, shown

#: On a root directory: the bases that its owners may have, in decimal, the one they had at first in
#: front. There from before the first inode changes until the walk has ended, or `forget_origin`.
SHIFT = "trusted.virtsec.shift"


@dataclass(frozen=True, slots=True)
class Counts:
    """What a walk did."""

    inodes: int  #: read
    changed: int


def label_tree(
    rootfs: PurePosixPath,
    ids: IdRange | None,
    marks: TreeMarks,
    init: PurePosixPath,
    progress: Progress,
    *,
    keep_origin: bool = False,
    noting: bool = False,
) -> Counts:
    """Make every inode under `rootfs` the container's own; what is right already is not written.

    With `keep_origin` the tree remembers where its owners came from, for `restore_tree`; with
    `noting` each inode what its labels were, for `give_back_tree`. Raises `RootfsFailed`, or
    `Refused` when the tree is not safe to change.
    """
    check_parents(rootfs)
    with explained("label", rootfs), opened(rootfs) as root:
        earlier = _earlier(root)
        owner = os.fstat(root.descriptor).st_uid
        shift = plan_shift(owner, ids, earlier)
        wanted = Wanted(
            shift=shift,
            files=marks.files,
            directories=marks.directories,
            init=marks.init,
            init_inode=find_init(root, init),
            resumed=bool(earlier),
            noting=noting,
        )
        bases = earlier or (start_of(owner, shift.target),)
        counts = _walk(root, wanted, progress, f"label {rootfs}", (*bases, shift.target))
        if not keep_origin:
            forget_origin(rootfs)
        return counts


def label_born(rootfs: PurePosixPath, marks: TreeMarks, init: PurePosixPath) -> bool:
    """Label init in a tree that nobody else has reached since virtsec filled it.

    All else was born with owner and label of the container's, which init is asked for: False, and
    nothing is done, where it was not. Raises as `label_tree`.
    """
    with explained("label", rootfs), opened(rootfs) as root:
        held = open_init(root, init)
        try:
            inode = xattrs.held(held)
            if any(xattrs.get(inode, name) != value for name, value in marks.files.items()):
                return False
            for name, value in marks.init.items():
                xattrs.put(inode, name, value)
            return True
        finally:
            os.close(held)


def give_back_tree(rootfs: PurePosixPath, ids: IdRange | None, progress: Progress) -> Counts:
    """Give every inode the labels that `label_tree` noted, and the owners `ids` (None: the host's).

    What was made since gets those of the tree's root directory. Raises as `label_tree`.
    """
    check_parents(rootfs)
    with explained("label", rootfs), opened(rootfs) as root:
        # The notes go once all is back, the root's first: without it only notes are left.
        top = noted(xattrs.held(root.descriptor))
        counts = Counts(0, 0)
        if top is not None:
            earlier = _earlier(root)
            owner = os.fstat(root.descriptor).st_uid
            shift = plan_shift(owner, ids, earlier)
            wanted = Wanted(shift, top, top, resumed=bool(earlier), giving_back=True)
            bases = (*(earlier or (start_of(owner, shift.target),)), shift.target)
            counts = _walk(root, wanted, progress, f"give {rootfs} back", bases)
            forget_origin(rootfs)
        gone = {NOTE: None}
        _walk(root, Wanted(Shift((), 0), gone, gone), progress, f"forget {rootfs}", ())
        return counts


def rest_tree(rootfs: PurePosixPath, marks: TreeMarks, progress: Progress) -> Counts:
    """Put `marks.rest` on every inode, init included; owners stay. Raises as `label_tree`."""
    check_parents(rootfs)
    with explained("label", rootfs), opened(rootfs) as root:
        wanted = Wanted(Shift((), 0), marks.rest, marks.rest)
        return _walk(root, wanted, progress, f"take the labels off {rootfs}", ())


def restore_tree(rootfs: PurePosixPath, marks: TreeMarks, progress: Progress) -> Counts:
    """Give the owners back that `label_tree` with `keep_origin` changed, and put `marks.rest` on.

    A tree that it did not come to change is left as it is.
    """
    check_parents(rootfs)
    with explained("label", rootfs), opened(rootfs) as root:
        earlier = _earlier(root)
        if not earlier:
            return Counts(0, 0)
        home = IdRange(earlier[0]) if earlier[0] else None
        shift = plan_shift(os.fstat(root.descriptor).st_uid, home, earlier)
        wanted = Wanted(shift, marks.rest, marks.rest, resumed=True)
        counts = _walk(root, wanted, progress, f"put {rootfs} back", ())
        forget_origin(rootfs)
        return counts


def forget_origin(rootfs: PurePosixPath) -> None:
    """Take the note of an earlier shift away. Raises `OSError`."""
    if xattrs.get(str(rootfs), SHIFT) is not None:
        xattrs.put(str(rootfs), SHIFT, None)


def _walk(
    root: Root, wanted: Wanted, progress: Progress, what: str, bases: tuple[int, ...]
) -> Counts:
    with shown(progress, f"read {root.path}", None) as advance:
        found = survey(root, wanted, advance)
    if found.total:
        if bases:
            note = " ".join(str(base) for base in dict.fromkeys(bases))
            xattrs.put(xattrs.held(root.descriptor), SHIFT, note.encode())
        with shown(progress, what, found.total) as advance:
            change(root, wanted, found, advance)
    return Counts(found.inodes, found.total)


def _earlier(root: Root) -> tuple[int, ...]:
    note = xattrs.get(xattrs.held(root.descriptor), SHIFT)
    words = [] if note is None else note.decode("ascii", "replace").split()
    return tuple(int(word) for word in words if word.isdecimal())
