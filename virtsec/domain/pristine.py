"""The copy of init that the hook puts back when a container's own differs (`--init-policy`).

It stands outside the tree, at STORE/NAME/init.pristine, where the container never reaches it; the
hook trusts it only while root alone may change it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from virtsec.errors import BadInput
from virtsec.kernel.openat2 import open_in_root
from virtsec.rootfs.trouble import explained
from virtsec.rootfs.walk import opened
from virtsec.spec import STORE
from virtsec.step import Host

KEPT = "init.pristine"
_LARGEST = 64 * 2**20  # bytes; the hook reads it whole before each start


@dataclass(frozen=True, slots=True)
class KeepInit:
    """Copy a container's init to where only root may change it."""

    name: str
    rootfs: PurePosixPath
    init: PurePosixPath
    store: PurePosixPath = STORE

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"keep a copy of {self.init} in {self.store / self.name}"

    def apply(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.apply`. Raises `BadInput` when init is no file the hook could put back."""
        content = self._content()
        directory = Path(self.store, self.name)
        with explained("make", directory):
            with suppress(FileExistsError):
                directory.parent.mkdir(0o711)
            with suppress(FileExistsError):
                directory.mkdir(0o700)
        with explained("write", directory / KEPT), _directory(directory) as place:
            _write(place, content)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        DropInit(self.name, self.store).apply(host)

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

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"remove the copy of init in {self.store / self.name}"

    def apply(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.apply`. The directory goes with it when nothing else is there."""
        directory = Path(self.store, self.name)
        with explained("remove", directory / KEPT):
            (directory / KEPT).unlink(missing_ok=True)
        with suppress(OSError):
            directory.rmdir()

    def undo(self, host: Host) -> None:
        """See `Step.undo`. A start without the copy is refused, so nothing has been weakened."""


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(directory: int, content: bytes) -> None:
    """Write the copy aside and rename it, so that it is whole whenever it is there."""
    aside = f"{KEPT}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    new = os.open(aside, flags, 0o600, dir_fd=directory)
    with os.fdopen(new, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(new)
    os.rename(aside, KEPT, src_dir_fd=directory, dst_dir_fd=directory)
