"""Telling libvirt's daemon that there is a hook.

It looks for hook scripts when it starts and on SIGHUP, and remembers which drivers have any
(https://libvirt.org/hooks.html).
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from virtsec.errors import Failed, HostNotReady
from virtsec.step import Host

_SYSTEMCTL = "/usr/bin/systemctl"
#: Whichever drives LXC on this host: the modular daemon, or the one for all drivers (Debian).
_UNITS = ("virtlxcd.service", "libvirtd.service")


def running_unit() -> str:
    """The systemd unit of the daemon that drives LXC; raises `HostNotReady` when none runs."""
    states = _systemctl("is-active", *_UNITS).stdout.split()
    for unit, state in zip(_UNITS, states, strict=False):
        if state in {"active", "reloading"}:
            return unit
    raise HostNotReady(
        "No libvirt daemon for LXC is run by systemd here.",
        "Start it with `systemctl start libvirtd`, then run `virtsec setup` again.",
    )


@dataclass(frozen=True, slots=True)
class ReloadDaemon:
    """Have the daemon look for hooks again; running machines and containers are not disturbed."""

    unit: str

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"reload {self.unit}, so that libvirt looks for its hooks again"

    def apply(self, host: Host) -> None:  # noqa: ARG002
        """See `Step.apply`."""
        done = _systemctl("reload", self.unit)
        if done.returncode:
            raise Failed(
                f"{self.unit} could not be reloaded: {done.stderr.strip()}",
                f"See `systemctl status {self.unit}`, then run `virtsec setup` again.",
            )

    def undo(self, host: Host) -> None:
        """Nothing: a hook that is gone again is not found, whatever the daemon remembers."""


def _systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    command: Sequence[str] = (_SYSTEMCTL, *words)
    try:
        return subprocess.run(
            command,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError as error:
        raise HostNotReady(
            "systemctl, which tells libvirt's daemon of the hook, is not there.",
            "virtsec needs a host that runs systemd.",
        ) from error
