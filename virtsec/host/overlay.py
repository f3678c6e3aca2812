"""overlayfs, by which the controller mounts bases: there before any container on one starts."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from virtsec.mac.install import call
from virtsec.step import Host

MODPROBE = "/usr/sbin/modprobe"


@dataclass(frozen=True, slots=True)
class LoadOverlay:
    """Have the kernel load it now; at each boot it does by what setup installs.

    A kernel that does not have it at all runs containers that are on no base.
    """

    def describe(self) -> str:
        """See `Step.describe`."""
        return "have the kernel load overlayfs"

    def apply(self, host: Host) -> None:  # noqa: ARG002
        """See `Step.apply`."""
        with suppress(OSError):
            call(MODPROBE, "--quiet", "overlay")

    def undo(self, host: Host) -> None:
        """See `Step.undo`. It stays: others may use it by now."""
