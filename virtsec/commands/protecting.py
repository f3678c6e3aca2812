"""protect: what of the host no container may read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from virtsec.commands.lock import host_lock
from virtsec.errors import HostNotReady
from virtsec.step import Host


def protect(host: Host, *, check: bool = False) -> Sequence[PurePosixPath]:
    """Label what is to be kept from containers and is not; returns what, with `check` unchanged.

    Raises `HostNotReady` before `virtsec setup`: only that knows how to take labels off again.
    """
    if (missing := host.mac.ready()) is not None:
        raise HostNotReady(f"This host is not set up: {missing}.", "Run `virtsec setup`.")
    if check:
        return host.mac.protect(check=True)
    with host_lock(host.progress):
        return host.mac.protect(check=False)
