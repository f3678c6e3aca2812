"""Roots in two layers: a base that many containers share, and what each of them has of its own.

A base is a tree in the store that nobody changes any more, one directory for each generation:

    /var/lib/virtsec/_bases/NAME/3/tree

A container on it has beside its root, which is its own layer, what its controller needs to mount
both as one (overlayfs.rst):

    /var/lib/virtsec/vs1/base -> ../_bases/NAME/3/tree
    /var/lib/virtsec/vs1/work            for the kernel
    /var/lib/virtsec/vs1/scratch         where what it writes vanishes at stop: for a tmpfs

Its own layer has each inode of the base from the beginning, with owner and label its own but
without the data ("metacopy"). So the security module tells containers apart on a shared base as on
trees of their own, and who labels init needs to look at one layer only. The base has a label that
no container may use: its data are read by who mounted it, for those who may read the inode above.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from virtsec.errors import Refused, RootfsFailed
from virtsec.kernel.mounts import own_mounts, unmount
from virtsec.rootfs import unfinished
from virtsec.rootfs.bases import base_at, link_to
from virtsec.rootfs.remove import remove_tree
from virtsec.rootfs.trouble import explained
from virtsec.rootfs.trust import check_parents
from virtsec.rootfs.walk import directories, opened
from virtsec.runtime import refusal, view
from virtsec.spec import STORE, Base
from virtsec.step import Host, Step

Result = TypeVar("Result")


def base_of(rootfs: PurePosixPath) -> Base | None:
    """What the tree at `rootfs` is a layer on; None where it is whole by itself."""
    if rootfs.parent.parent != STORE:
        return None
    try:
        return base_at(str(Path(rootfs.parent / "base").readlink()))
    except OSError:
        return None


def in_view(rootfs: PurePosixPath, work: Callable[[], Result]) -> Result:
    """Do `work` where the tree at `rootfs` is what its container sees, base and all.

    Nobody else sees what is mounted for that. The container must not run. Raises what `work` does,
    and `RootfsFailed`.
    """
    if base_of(rootfs) is None:
        return work()

    with own_mounts():
        try:
            view.mount_layers(str(rootfs.parent), scratch=False)
        except (OSError, refusal.Refused) as error:
            raise RootfsFailed(
                f"{rootfs} cannot be mounted on its base: {error}.",
                "See `dmesg`; the kernel must have overlayfs.",
            ) from None
        try:
            return work()
        finally:
            unmount(rootfs)  # what ends with the namespace may end a little later


@dataclass(frozen=True, slots=True)
class InView:
    """A step about a tree, done where the tree is seen with its base."""

    rootfs: PurePosixPath
    step: Step

    def describe(self) -> str:
        """See `Step.describe`."""
        return self.step.describe()

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        in_view(self.rootfs, lambda: self.step.apply(host))

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        if Path(self.rootfs).is_dir():
            in_view(self.rootfs, lambda: self.step.undo(host))


@dataclass(frozen=True, slots=True)
class LayTree:
    """Make an empty layer on a base, unless a whole one on it is there."""

    rootfs: PurePosixPath
    base: Base
    scratch: bool

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"lay {self.rootfs} on {self.base.name}, generation {self.base.generation}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`. Raises `Refused` where something else is."""
        check_parents(self.rootfs)
        own = self.rootfs.parent
        with explained("make", self.rootfs):
            if os.path.lexists(self.rootfs) and not unfinished.is_unfinished(self.rootfs):
                if base_of(self.rootfs) != self.base:
                    raise Refused(
                        f"{self.rootfs} is there already.",
                        "Remove it, or name another place with --rootfs.",
                    )
            else:
                self._remove(host)
                unfinished.make(self.rootfs)
                Path(own / "work").mkdir(0o700)
                Path(own / "base").symlink_to(link_to(self.base))
                # Whose it is says how far its owners are shifted: as those of the base, not yet.
                Path(self.rootfs).chmod(0o755)
            if self.scratch:
                Path(own / "scratch").mkdir(0o700, exist_ok=True)
            else:
                with suppress(FileNotFoundError):
                    Path(own / "scratch").rmdir()

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        if unfinished.is_unfinished(self.rootfs):
            self._remove(host)

    def _remove(self, host: Host) -> None:
        RemoveLayers(self.rootfs).apply(host)
        if os.path.lexists(self.rootfs):
            remove_tree(self.rootfs, host.progress)


@dataclass(frozen=True, slots=True)
class NameAll:
    """Have a layer, seen with its base, name all that it has.

    Of an inode with several names the kernel brings up the one that it was changed by; whoever
    looks at the layer alone, as the hook does, is to find it by each.
    """

    rootfs: PurePosixPath

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"name every file in {self.rootfs}"

    def apply(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.apply`."""
        with explained("change", self.rootfs), opened(self.rootfs) as root:
            for directory in directories(root):
                for entry in directory.entries:
                    found = entry.stat(follow_symlinks=False)
                    if found.st_nlink > 1 and not entry.is_dir(follow_symlinks=False):
                        times = (found.st_atime_ns, found.st_mtime_ns)
                        place = directory.descriptor
                        os.utime(entry.name, ns=times, dir_fd=place, follow_symlinks=False)

    def undo(self, host: Host) -> None:
        """See `Step.undo`: the layer goes, or is as good as before."""


def lay(rootfs: PurePosixPath, base: Base, label: Step, *, scratch: bool) -> tuple[Step, ...]:
    """The steps to a layer on a base; `label` gives it its owners and labels; pure."""
    seen = (InView(rootfs, each) for each in (label, NameAll(rootfs)))
    return (LayTree(rootfs, base, scratch), *seen)


@dataclass(frozen=True, slots=True)
class RemoveLayers:
    """Remove what a layer needs to be mounted on its base, but not the layer."""

    rootfs: PurePosixPath

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"take {self.rootfs} off its base"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        own = self.rootfs.parent
        with explained("remove", own):
            if os.path.lexists(self.rootfs):
                unfinished.end(self.rootfs)
            if Path(own / "work").is_dir():
                remove_tree(own / "work", host.progress)
            with suppress(FileNotFoundError):
                Path(own / "scratch").rmdir()
            with suppress(FileNotFoundError):
                Path(own / "base").unlink()

    def undo(self, host: Host) -> None:
        """See `Step.undo`: what comes after it removes the layer and cannot be undone either."""
