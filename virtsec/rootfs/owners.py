"""The steps that make a tree somebody's: its owners, its labels, and who may enter its place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from virtsec.mac.protocol import TreeMarks
from virtsec.rootfs.label import give_back_tree, label_born, label_tree, rest_tree, restore_tree
from virtsec.rootfs.trouble import explained
from virtsec.spec import STORE, IdRange
from virtsec.step import Host

_OWN_MODE = 0o710


@dataclass(frozen=True, slots=True)
class LabelTree:
    """Make every inode of a tree the container's own: its owner and its label.

    With `restore`, for a tree that was there before virtsec, undo gives the owners back and puts
    `marks.rest` on.
    """

    rootfs: PurePosixPath
    ids: IdRange | None
    marks: TreeMarks
    init: PurePosixPath
    restore: bool = False
    filled: bool = False  #: just before, by virtsec, and born with labels where the kernel can

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"label {self.rootfs}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        if self.filled and label_born(self.rootfs, self.marks, self.init):
            return
        label_tree(
            self.rootfs,
            self.ids,
            self.marks,
            self.init,
            host.progress,
            keep_origin=self.restore,
        )

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        if self.restore:
            restore_tree(self.rootfs, self.marks, host.progress)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a tree is: ids (None: the host's own) and labels."""

    ids: IdRange | None
    marks: TreeMarks


@dataclass(frozen=True, slots=True)
class GiveTree:
    """Give a tree, and its directory in the store, from one owner to another."""

    rootfs: PurePosixPath
    before: Owner
    after: Owner
    init: PurePosixPath
    store: PurePosixPath = STORE

    def describe(self) -> str:
        """See `Step.describe`."""
        ids = self.after.ids
        return f"label {self.rootfs}, for root {0 if ids is None else ids.start}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        self._give(self.after, host)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        if Path(self.rootfs).is_dir():
            self._give(self.before, host)

    def _give(self, owner: Owner, host: Host) -> None:
        label_tree(self.rootfs, owner.ids, owner.marks, self.init, host.progress)
        _open_to(self.rootfs, owner.ids, self.store)


@dataclass(frozen=True, slots=True)
class AdoptTree:
    """Make the tree of somebody else's domain a container's, and note what its labels were."""

    rootfs: PurePosixPath
    owner: Owner
    init: PurePosixPath

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"label {self.rootfs}, and note its labels"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        ids, marks = self.owner.ids, self.owner.marks
        label_tree(self.rootfs, ids, marks, self.init, host.progress, noting=True)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        give_back_tree(self.rootfs, self.owner.ids, host.progress)


@dataclass(frozen=True, slots=True)
class ReleaseTree:
    """Give a tree that `AdoptTree` labelled its labels back, and owners (None: the host's)."""

    rootfs: PurePosixPath
    owner: Owner
    ids: IdRange | None
    init: PurePosixPath

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"give {self.rootfs} the labels back that it had"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        give_back_tree(self.rootfs, self.ids, host.progress)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        AdoptTree(self.rootfs, self.owner, self.init).apply(host)


@dataclass(frozen=True, slots=True)
class RestTree:
    """Put `marks.rest` on every inode of a tree that no container uses any more.

    In the store its directory is closed to all but root: another container may get the ids. With
    the container's `init`, undo makes the tree the container's again.
    """

    rootfs: PurePosixPath
    marks: TreeMarks
    ids: IdRange | None = None
    init: PurePosixPath | None = None
    store: PurePosixPath = STORE

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"take the labels off {self.rootfs}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`. A tree that is gone has no labels left."""
        if Path(self.rootfs).is_dir():
            rest_tree(self.rootfs, self.marks, host.progress)
            _open_to(self.rootfs, None, self.store)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        if self.init is not None and Path(self.rootfs).is_dir():
            _open_to(self.rootfs, self.ids, self.store)
            label_tree(self.rootfs, self.ids, self.marks, self.init, host.progress)


def _open_to(rootfs: PurePosixPath, ids: IdRange | None, store: PurePosixPath) -> None:
    """Have the ids enter the directory that a tree in the store stands in; None: nobody."""
    own = rootfs.parent
    if own.parent == store:
        with explained("change", own):
            set_access(own, ids)


def set_access(own: PurePosixPath, ids: IdRange | None) -> None:
    """Have root alone enter a directory, and the group that root inside has where it has ids."""
    directory = os.open(own, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(directory, 0, 0 if ids is None else ids.start)
        os.fchmod(directory, 0o700 if ids is None else _OWN_MODE)
    finally:
        os.close(directory)
