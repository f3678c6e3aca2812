"""The copy of init that the hook puts back when a container's own differs (`--init-policy`).

It stands outside the tree, at STORE/NAME/init.pristine, where the container never reaches it; the
hook trusts it only while root alone may change it.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from virtsec.domain.keep import PRISTINE, drop, keep
from virtsec.errors import BadInput
from virtsec.kernel.openat2 import open_in_root
from virtsec.rootfs.trouble import explained
from virtsec.rootfs.walk import opened
from virtsec.spec import STORE
from virtsec.step import Host

_LARGEST = 64 * 2**20  # bytes; the hook reads it whole before each start


def kept(name: str, store: PurePosixPath = STORE) -> bytes | None:
    """The copy of container `name`'s init; None where there is none. Raises `RootfsFailed`."""
    path = store / name / PRISTINE
    with explained("read", path):
        try:
            return Path(path).read_bytes()
        except FileNotFoundError:
            return None


@dataclass(frozen=True, slots=True)
class KeepInit:
    """Copy a container's init to where only root may change it."""

    name: str
    rootfs: PurePosixPath
    init: PurePosixPath
    store: PurePosixPath = STORE
    before: bytes | None = field(default=None, repr=False)  #: the copy of the one before it

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"keep a copy of {self.init} in {self.store / self.name}"

    def apply(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.apply`. Raises `BadInput` when init is no file the hook could put back."""
        keep(self.store / self.name, PRISTINE, self._content())

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        if self.before is None:
            DropInit(self.name, self.store).apply(host)
        else:
            keep(self.store / self.name, PRISTINE, self.before)

    def _content(self) -> bytes:
        with opened(self.rootfs) as root, explained("read", self.init):
            found = open_in_root(root.descriptor, str(self.init), os.O_RDONLY | os.O_NONBLOCK)
            try:
                status = os.fstat(found)
                if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
                    raise BadInput(
                        f"{self.init} in {self.rootfs} is not a file to keep a copy of.",
                        "Name a program by --init, or leave --init-policy out.",
                    )
                return os.read(found, status.st_size)
            finally:
                os.close(found)


@dataclass(frozen=True, slots=True)
class DropInit:
    """Remove the copy of a container's init."""

    name: str
    store: PurePosixPath = STORE
    before: bytes | None = field(default=None, repr=False)  #: the copy, to put it back

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"remove the copy of init in {self.store / self.name}"

    def apply(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.apply`. The directory goes with it when nothing else is there."""
        drop(self.store / self.name, PRISTINE)

    def undo(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.undo`. A start without the copy is refused, and nothing makes it again."""
        if self.before is not None:
            keep(self.store / self.name, PRISTINE, self.before)
