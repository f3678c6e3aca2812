"""The steps that make, label and remove a container's root.

A root of virtsec's own grows as `ROOTFS.partial`, takes its name when it is whole, and is noted as
unfinished until `KeepTree`, after the domain is defined. So a run that is killed anywhere leaves
nothing that the next run takes for somebody's tree.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from virtsec.errors import Refused
from virtsec.mac.protocol import TreeMarks
from virtsec.rootfs import unfinished
from virtsec.rootfs.bases import BASES, tree_of
from virtsec.rootfs.fill import fill, partial_of
from virtsec.rootfs.label import (
    forget_origin,
    give_back_tree,
    label_born,
    label_tree,
    rest_tree,
    restore_tree,
)
from virtsec.rootfs.layers import lay
from virtsec.rootfs.remove import refuse_mounts, remove_tree
from virtsec.rootfs.sources import (
    Source,
    SourceKind,
    check_place,
    default_source,
    inspect_source,
)
from virtsec.rootfs.trouble import explained
from virtsec.rootfs.trust import check_parents
from virtsec.spec import STORE, Base, ContainerSpec, Identity, IdRange
from virtsec.step import Host, Step, shown

__all__ = [
    "AdoptTree",
    "FillTree",
    "GiveTree",
    "KeepTree",
    "LabelTree",
    "MakeStore",
    "MoveStore",
    "Owner",
    "ReleaseTree",
    "RemoveTree",
    "RestTree",
    "Source",
    "SourceKind",
    "default_source",
    "inspect_source",
    "plan_keep",
    "plan_root",
]

_STORE_MODE = 0o711
_OWN_MODE = 0o710


def plan_root(
    spec: ContainerSpec, identity: Identity, marks: TreeMarks, source: Source | None = None
) -> list[Step]:
    """The steps from nothing to a shifted and labelled root; pure.

    `source` is what `inspect_source` found; with it unpacking reports progress against a total.
    """
    steps: list[Step] = []
    if spec.rootfs.is_relative_to(STORE):
        steps.append(MakeStore(spec.rootfs, identity.ids))
    if spec.source is not None:
        members = None if source is None else source.members
        steps.append(
            FillTree(spec.rootfs, spec.source, identity.ids, spec.init, spec.name, marks, members)
        )
    if spec.base is not None:
        label = LabelTree(spec.rootfs, identity.ids, marks, spec.init)
        return [*steps, *lay(spec.rootfs, spec.base, label, scratch=spec.scratch)]
    there = spec.source is None
    steps.append(
        LabelTree(spec.rootfs, identity.ids, marks, spec.init, restore=there, filled=not there)
    )
    return steps


def plan_keep(spec: ContainerSpec) -> list[Step]:
    """What comes after the domain is defined: the tree is the container's for good; pure."""
    return [KeepTree(spec.rootfs, made=spec.source is not None or spec.base is not None)]


@dataclass(frozen=True, slots=True)
class MakeStore:
    """Make the directory that holds a root of virtsec's own, or open it to its container.

    Only root, and for an unprivileged container its own root group, may enter it: setuid programs
    in the tree are not for the host's users.
    """

    rootfs: PurePosixPath
    ids: IdRange | None
    store: PurePosixPath = STORE

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"make {self.rootfs.parent}"

    def apply(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.apply`."""
        check_place(self.rootfs, self.store)
        own = self.rootfs.parent
        with explained("make", own):
            if not Path(self.store).is_dir():
                Path(self.store).mkdir(_STORE_MODE)
            check_parents(self.rootfs.parent)
            with suppress(FileExistsError):
                Path(own).mkdir(0o700)
            _set_access(own, self.ids)

    def undo(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.undo`. A directory with something in it was there before, and stays."""
        with suppress(OSError):
            Path(self.rootfs.parent).rmdir()


def _open_to(rootfs: PurePosixPath, ids: IdRange | None, store: PurePosixPath) -> None:
    """Have the ids enter the directory that a tree in the store stands in; None: nobody."""
    own = rootfs.parent
    if own.parent == store:
        with explained("change", own):
            _set_access(own, ids)


def _set_access(own: PurePosixPath, ids: IdRange | None) -> None:
    directory = os.open(own, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(directory, 0, 0 if ids is None else ids.start)
        os.fchmod(directory, 0o700 if ids is None else _OWN_MODE)
    finally:
        os.close(directory)


@dataclass(frozen=True, slots=True)
class FillTree:
    """Unpack, copy or build a root, with owners and labels its own from the first moment."""

    rootfs: PurePosixPath
    source: str
    ids: IdRange | None
    init: PurePosixPath
    name: str  #: the container's, its host name where virtsec builds the root
    marks: TreeMarks  #: what all in it is born with, but for init
    members: int | None = None  #: for progress

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"fill {self.rootfs} from {self.source}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`. Raises `Refused` where a tree is that virtsec did not begin."""
        check_parents(self.rootfs)
        for path in (self.rootfs, partial_of(self.rootfs)):
            _clear_place(path, host)
        with shown(host.progress, f"fill {self.rootfs}", self.members) as advance:
            fill(
                self.rootfs,
                self.source,
                self.ids,
                self.init,
                advance,
                name=self.name,
                attributes=self.marks.directories,
                birth=host.mac.birth(self.marks),
            )

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        for path in (self.rootfs, partial_of(self.rootfs)):
            _remove_unfinished(path, host)


def _clear_place(path: PurePosixPath, host: Host) -> None:
    if os.path.lexists(path) and not _remove_unfinished(path, host):
        raise Refused(
            f"{path} is there already.", "Name another place with --rootfs, or remove it."
        )


def _remove_unfinished(path: PurePosixPath, host: Host) -> bool:
    """Whether `path` was a tree that virtsec had begun, and is gone now."""
    if not unfinished.is_unfinished(path):
        return False
    remove_tree(path, host.progress)
    return True


@dataclass(frozen=True, slots=True)
class KeepTree:
    """Have the tree be the container's for good, once the domain is defined."""

    rootfs: PurePosixPath
    made: bool  #: whether virtsec filled it

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"keep {self.rootfs}"

    def apply(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.apply`."""
        with explained("keep", self.rootfs):
            unfinished.keep(self.rootfs)
            forget_origin(self.rootfs)

    def undo(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.undo`."""
        if self.made:
            with suppress(FileNotFoundError):
                unfinished.begin(self.rootfs)


@dataclass(frozen=True, slots=True)
class MakeBase:
    """Make the directory that a generation of a base is kept in; only root may enter it."""

    base: Base

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"make {tree_of(self.base).parent}"

    def apply(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.apply`."""
        place = tree_of(self.base).parent
        with explained("make", place):
            if not Path(STORE).is_dir():
                Path(STORE).mkdir(_STORE_MODE)
            check_parents(BASES)
            for each in (BASES, place.parent, place):
                with suppress(FileExistsError):
                    Path(each).mkdir(0o700)

    def undo(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.undo`. A directory with something in it was there before, and stays."""
        place = tree_of(self.base).parent
        with suppress(OSError):
            for each in (place, place.parent, BASES):
                Path(each).rmdir()


@dataclass(frozen=True, slots=True)
class RemoveBase:
    """Remove a generation of a base; what is removed cannot be brought back."""

    base: Base

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"remove {tree_of(self.base).parent}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        RemoveTree(tree_of(self.base)).apply(host)
        MakeBase(self.base).undo(host)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""


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
class MoveStore:
    """Give a container's directory in the store the name that the container gets."""

    before: PurePosixPath
    after: PurePosixPath

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"rename {self.before} to {self.after}"

    def apply(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.apply`. What an earlier run that was killed has renamed stays so."""
        if not os.path.lexists(self.before):
            return
        if os.path.lexists(self.after):
            raise Refused(f"{self.after} is there already.", "Choose another name, or remove it.")
        with explained("rename", self.before):
            refuse_mounts(self.before)
            Path(self.before).rename(self.after)

    def undo(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.undo`."""
        if os.path.lexists(self.after) and not os.path.lexists(self.before):
            Path(self.after).rename(self.before)


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


@dataclass(frozen=True, slots=True)
class RemoveTree:
    """Remove a tree, and the directory in the store that it stood in.

    It comes last in a plan: what is removed cannot be brought back.
    """

    path: PurePosixPath
    store: PurePosixPath = STORE

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"remove {self.path}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        if os.path.lexists(self.path):
            refuse_mounts(self.path)
            with explained("remove", self.path):
                unfinished.begin(self.path)
            _remove_unfinished(self.path, host)
        if self.path.parent.parent == self.store:
            with suppress(OSError):
                Path(self.path.parent).rmdir()

    def undo(self, host: Host) -> None:
        """See `Step.undo`. Before anything was removed nothing was changed."""
