"""setup and protect: what a host has to have, and what of it no container may read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from virtsec.commands.find import check_policy
from virtsec.commands.host import open_host
from virtsec.host import setup as host_setup
from virtsec.host.lock import host_lock
from virtsec.host.setup import SetupResult
from virtsec.step import Host, Watcher


def setup(
    host: Host | None = None,
    *,
    remove: bool = False,
    network: bool = True,
    dry_run: bool = False,
    watch: Watcher | None = None,
) -> SetupResult:
    """Make the host ready, or with `remove` undo exactly that; a second run finds nothing to do.

    With `network` false libvirt's network `default` is left as it is, with `dry_run` everything.
    Raises `HostNotReady` for what the host lacks, `Refused` where a file that is not ours is in the
    way or, to remove, containers are left, and `Failed` when a step fails.
    """
    host = host or open_host()
    return host_setup.setup(host, remove=remove, network=network, dry_run=dry_run, watch=watch)


def protect(host: Host | None = None, *, check: bool = False) -> Sequence[PurePosixPath]:
    """Label what is to be kept from containers and is not; returns what, with `check` unchanged.

    Raises `HostNotReady` before `virtsec setup`: only that knows how to take labels off again.
    """
    host = host or open_host()
    check_policy(host)
    if check:
        return host.mac.protect(check=True)
    with host_lock(host.progress):
        return host.mac.protect(check=False)
