"""The steps that make, keep, move and remove a container's root, and the trees of bases.

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
from virtsec.kernel.flush import flush
from virtsec.kernel.rmdir import remove_empty
from virtsec.mac.protocol import TreeMarks
from virtsec.rootfs import unfinished
from virtsec.rootfs.bases import BASES, tree_of
from virtsec.rootfs.fill import fill, partial_of
from virtsec.rootfs.label import forget_origin
from virtsec.rootfs.layers import lay
from virtsec.rootfs.owners import LabelTree, set_access
from virtsec.rootfs.remove import refuse_mounts, remove_tree
from virtsec.rootfs.sources import Source, check_place
from virtsec.rootfs.trouble import explained
from virtsec.rootfs.trust import check_parents
from virtsec.rootfs.walk import opened
from virtsec.spec import STORE, Base, ContainerSpec, Identity, IdRange
from virtsec.step import Host, Step, shown

_STORE_MODE = 0o711


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
        steps.append(
            FillTree(spec.rootfs, spec.source, identity.ids, spec.init, spec.name, marks, source)
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
            Path(self.store).mkdir(_STORE_MODE, exist_ok=True)
            check_parents(self.rootfs.parent)
            with suppress(FileExistsError):
                Path(own).mkdir(0o700)
            set_access(own, self.ids)

    def undo(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.undo`. A directory with something in it was there before, and stays."""
        with explained("remove", self.rootfs.parent):
            remove_empty(self.rootfs.parent)


@dataclass(frozen=True, slots=True)
class FillTree:
    """Unpack, copy or build a root, with owners and labels its own from the first moment."""

    rootfs: PurePosixPath
    source: str
    ids: IdRange | None
    init: PurePosixPath
    name: str  #: the container's, its host name where virtsec builds the root
    marks: TreeMarks  #: what all in it is born with, but for init
    found: Source | None = None  #: what is known of the source before

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"fill {self.rootfs} from {self.source}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`. Raises `Refused` where a tree is that virtsec did not begin."""
        check_parents(self.rootfs)
        for path in (self.rootfs, partial_of(self.rootfs)):
            _clear_place(path, host)
        members = None if self.found is None else self.found.members
        with shown(host.progress, f"fill {self.rootfs}", members) as advance:
            fill(
                self.rootfs,
                self.source,
                self.ids,
                self.init,
                advance,
                name=self.name,
                attributes=self.marks.directories,
                birth=host.mac.birth(self.marks),
                acls=self.found is None or self.found.acls,
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
class FlushTree:
    """Have a tree be on its disk before anything says that it is there.

    File systems may keep names, owners and labels and lose the data of new files when power fails:
    libvirt's definition, which libvirt has synced, would be of a container whose files are empty.
    """

    rootfs: PurePosixPath

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"have {self.rootfs} be on the disk"

    def apply(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.apply`."""
        with explained("write", self.rootfs), opened(self.rootfs) as root:
            flush(root.descriptor)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""


@dataclass(frozen=True, slots=True)
class KeepTree:
    """Have the tree be the container's for good, once the domain is defined."""

    rootfs: PurePosixPath
    made: bool  #: whether virtsec filled it

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"take {self.rootfs} for complete"

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
class LeaveTree:
    """Have the tree of a container that goes be there for the next definition.

    That would take it for rubbish if the container's own, cut off just before `KeepTree`, had left
    it noted as unfinished.
    """

    rootfs: PurePosixPath

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"leave {self.rootfs} for `virtsec define`"

    def apply(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.apply`. The note of a shift that was cut off stays: the next takes it up.

        So does that of a removal: what is left is rubbish.
        """
        with explained("keep", self.rootfs):
            if unfinished.is_begun(self.rootfs):
                unfinished.keep(self.rootfs)

    def undo(self, host: Host) -> None:
        """See `Step.undo`. The container that stays has its tree for good, too."""


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
            Path(STORE).mkdir(_STORE_MODE, exist_ok=True)
            check_parents(BASES)
            for each in (BASES, place.parent, place):
                with suppress(FileExistsError):
                    Path(each).mkdir(0o700)

    def undo(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.undo`. A directory with something in it was there before, and stays."""
        place = tree_of(self.base).parent
        with explained("remove", place):
            for each in (place, place.parent, BASES):
                remove_empty(each)


@dataclass(frozen=True, slots=True)
class RemoveBase:
    """Remove a generation of a base, or what of one was cut off; it cannot be brought back."""

    base: Base

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"remove {tree_of(self.base).parent}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        tree = tree_of(self.base)
        RemoveTree(tree).apply(host)
        workshop = partial_of(tree)
        _remove_unfinished(workshop, host)
        with explained("remove", workshop):
            remove_empty(unfinished.young_of(workshop))
        MakeBase(self.base).undo(host)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""


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
                unfinished.end(self.path)
            _remove_unfinished(self.path, host)
        if self.path.parent.parent == self.store:
            with explained("remove", self.path.parent):
                remove_empty(self.path.parent)

    def undo(self, host: Host) -> None:
        """See `Step.undo`. Before anything was removed nothing was changed."""
