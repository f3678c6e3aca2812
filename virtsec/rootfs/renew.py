"""What a copy of a system may not have in common with the first: its name, and its machine-id."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from virtsec.kernel.openat2 import open_in_root
from virtsec.rootfs.trouble import explained
from virtsec.rootfs.walk import opened
from virtsec.step import Host

#: Empty, it is made anew at the next start (machine-id(5)); addresses by DHCP depend on it.
_MACHINE_ID, _HOSTNAME = "etc/machine-id", "etc/hostname"


@dataclass(frozen=True, slots=True)
class RenewTree:
    """Have the system in a tree be another one than that it was copied from."""

    rootfs: PurePosixPath
    name: str

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"call the system in {self.rootfs} {self.name}, with a machine-id of its own"

    def apply(self, host: Host) -> None:  # noqa: ARG002 - the protocol's
        """See `Step.apply`. Files that are not there, or not plain ones, are passed over."""
        with explained("change", self.rootfs), opened(self.rootfs) as root:
            _fill(root.descriptor, _MACHINE_ID, b"")
            _fill(root.descriptor, _HOSTNAME, f"{self.name}\n".encode())

    def undo(self, host: Host) -> None:
        """See `Step.undo`. The tree was made for this, and goes."""


def _fill(root: int, path: str, content: bytes) -> None:
    with suppress(FileNotFoundError, IsADirectoryError):
        file = open_in_root(root, path, os.O_WRONLY | os.O_NONBLOCK)
        try:
            found = os.fstat(file)
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
                os.ftruncate(file, 0)
                os.write(file, content)
        finally:
            os.close(file)
