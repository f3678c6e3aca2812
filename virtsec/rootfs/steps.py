"""The steps that make, label and remove a container's root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from virtsec.mac.protocol import TreeMarks
from virtsec.rootfs.sources import Source, SourceKind, inspect_source
from virtsec.spec import ContainerSpec, Identity, IdRange
from virtsec.step import Host, Step

__all__ = [
    "FillTree",
    "KeepTree",
    "LabelTree",
    "MakeStore",
    "RemoveTree",
    "RestTree",
    "Source",
    "SourceKind",
    "inspect_source",
    "plan_keep",
    "plan_root",
]


def plan_root(
    spec: ContainerSpec, identity: Identity, marks: TreeMarks, source: Source | None = None
) -> list[Step]:
    """The steps from nothing to a shifted and labelled root; pure.

    `source` is what `inspect_source` found; with it unpacking reports progress against a total.
    """
    steps: list[Step] = []
    if spec.source is not None:
        members = None if source is None else source.members
        steps.append(MakeStore(spec.rootfs, identity.ids))
        steps.append(FillTree(spec.rootfs, spec.source, identity.ids, spec.init, members))
    steps.append(
        LabelTree(spec.rootfs, identity.ids, marks, spec.init, restore=spec.source is None)
    )
    return steps


def plan_keep(spec: ContainerSpec) -> list[Step]:
    """What comes after the domain is defined: the tree is no longer an unfinished one; pure."""
    return [] if spec.source is None else [KeepTree(spec.rootfs)]


@dataclass(frozen=True, slots=True)
class MakeStore:
    """Make the directory that holds a root of virtsec's own.

    Only root, and for an unprivileged container its own root, may enter it: a setuid program in
    the tree is nothing for the host's users.
    """

    rootfs: PurePosixPath
    ids: IdRange | None

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"make {self.rootfs.parent}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        raise NotImplementedError

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class FillTree:
    """Unpack, copy or build a root, with its owners shifted from the first moment.

    It grows as `ROOTFS.partial` and takes its name when it is whole; until `KeepTree` it is marked
    as unfinished, and a later `FillTree` replaces it.
    """

    rootfs: PurePosixPath
    source: str
    ids: IdRange | None
    init: PurePosixPath
    members: int | None = None  #: for progress
    birth: Callable[[], None] | None = None  #: run in the unpacking process before anything is made

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"fill {self.rootfs} from {self.source}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        raise NotImplementedError

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class KeepTree:
    """Take the mark of an unfinished tree away, once the domain is defined."""

    rootfs: PurePosixPath

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"keep {self.rootfs}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        raise NotImplementedError

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class LabelTree:
    """Make every inode of a tree the container's own: its owner and its label.

    With `restore`, undo moves the owners back and puts `marks.rest` on: for a tree that was there
    before virtsec.
    """

    rootfs: PurePosixPath
    ids: IdRange | None
    marks: TreeMarks
    init: PurePosixPath
    restore: bool = False

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"label {self.rootfs}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        raise NotImplementedError

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class RestTree:
    """Put `marks.rest` on every inode of a tree that no container uses any more."""

    rootfs: PurePosixPath
    marks: TreeMarks

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"take the labels off {self.rootfs}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        raise NotImplementedError

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class RemoveTree:
    """Remove a tree, and the store directory it stood in when that is empty then."""

    path: PurePosixPath

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"remove {self.path}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        raise NotImplementedError

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        raise NotImplementedError
