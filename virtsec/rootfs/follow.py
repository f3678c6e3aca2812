"""The steps that move a container's layer from one generation of its base to another.

The new layer grows in a directory of its own beside the container's and takes its place in one
moment, so a run that is killed leaves a container that is wholly on the one or on the other.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from virtsec.domain.keep import FILES
from virtsec.errors import RootfsFailed
from virtsec.kernel.exchange import exchange
from virtsec.rootfs.bases import BASES, tree_of
from virtsec.rootfs.carry import Layers, carry, changes
from virtsec.rootfs.layers import RemoveLayers, base_of, in_view
from virtsec.rootfs.shift import ForeignId, plan_shift
from virtsec.rootfs.steps import RemoveTree
from virtsec.rootfs.trouble import explained
from virtsec.rootfs.walk import opened
from virtsec.spec import STORE, Base, IdRange
from virtsec.step import Host, shown


def beside(name: str) -> PurePosixPath:
    """Where a container's next layer grows; no container can be called so; pure."""
    own = STORE / f"_{name}"
    return (own if own != BASES else STORE / f"__{name}") / "rootfs"


@dataclass(frozen=True, slots=True)
class CarryChanges:
    """Do what a container has changed on its base to its next layer, on another one."""

    rootfs: PurePosixPath
    target: PurePosixPath
    base: Base  #: what it is on now
    ids: IdRange | None

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"carry what is its own from {self.rootfs} to {self.target}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        with (
            shown(host.progress, self.describe()),
            explained("read", self.rootfs),
            ExitStack() as stack,
        ):
            base = stack.enter_context(opened(tree_of(self.base)))
            own = stack.enter_context(opened(self.rootfs))  # before the view lies over it
            shift = plan_shift(os.fstat(base.descriptor).st_uid, self.ids)

            def work() -> None:
                with opened(self.rootfs) as seen, opened(self.target) as target:
                    layers = Layers(base, own, seen)
                    carry(layers, target, changes(layers, shift), self.ids)

            try:
                in_view(self.rootfs, lambda: in_view(self.target, work))
            except ForeignId as error:
                raise RootfsFailed(
                    f"Something in {self.rootfs} belongs to {error.identity}, an id of nobody's.",
                    "Put it right with `virtsec label NAME`.",
                ) from None

    def undo(self, host: Host) -> None:
        """See `Step.undo`: the target goes."""


@dataclass(frozen=True, slots=True)
class TakePlace:
    """Give a container its next layer, and the one it had the other's place."""

    rootfs: PurePosixPath
    target: PurePosixPath
    base: Base  #: what the next layer is on

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"put {self.target} in the place of {self.rootfs}"

    def apply(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.apply`."""
        with explained("change", self.rootfs):
            _drop_kept(self.target)
            for file in FILES:
                with suppress(FileNotFoundError):
                    Path(self.target.parent, file).hardlink_to(self.rootfs.parent / file)
            exchange(self.rootfs.parent, self.target.parent)

    def undo(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.undo`."""
        if base_of(self.rootfs) == self.base:
            exchange(self.rootfs.parent, self.target.parent)
        _drop_kept(self.target)


@dataclass(frozen=True, slots=True)
class RemoveBeside:
    """Remove what a container's layer was, or what an interrupted run was making of it."""

    target: PurePosixPath
    store: PurePosixPath = STORE

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"remove {self.target.parent}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        if os.path.lexists(self.target.parent):
            RemoveLayers(self.target).apply(host)
            with explained("remove", self.target.parent):
                _drop_kept(self.target)
            RemoveTree(self.target, self.store).apply(host)

    def undo(self, host: Host) -> None:
        """See `Step.undo`. What it was is in its new place by then."""


def _drop_kept(target: PurePosixPath) -> None:
    """Remove what hook and controller read, where the layer beside has it too. Raises `OSError`."""
    for file in FILES:
        Path(target.parent, file).unlink(missing_ok=True)
