"""Telling libvirt's daemon that there is a hook.

It looks for hook scripts when it starts and on SIGHUP, and remembers which drivers have any
(https://libvirt.org/hooks.html).

The signal is sent without `systemctl reload`. That is a job, and a container that starts meanwhile
waits for its end, since libvirt has each scope come after its daemon; while the daemon, reloading,
waits for that container: both until a time-out, and then the container has not started.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass

from virtsec.errors import Failed, HostNotReady
from virtsec.mac.install import SYSTEMCTL, call
from virtsec.step import Host

#: Whichever drives LXC on this host: the modular daemon, or the one for all drivers (Debian).
_UNITS = ("virtlxcd.service", "libvirtd.service")
#: Seconds for a reload: it waits for containers that are being started.
_PATIENCE = 180.0
_PAUSE = 0.1
_CHANGED = "StateChangeTimestampMonotonic"
_SHOWN = ("Type", "ActiveState", _CHANGED)


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
        before = self._state()
        done = _systemctl("kill", "--kill-whom=main", "--signal=SIGHUP", self.unit)
        if done.returncode:
            raise Failed(
                f"{self.unit} could not be told to reload: {done.stderr.strip()}",
                f"See `systemctl status {self.unit}`, then run `virtsec setup` again.",
            )
        # Only a daemon of this type says when it begins and when it is done (systemd.service(5)).
        end = time.monotonic() + _PATIENCE
        while before["Type"] == "notify-reload" and not self._reloaded_since(before):
            if time.monotonic() > end:
                raise Failed(
                    f"{self.unit} has been reloading for {_PATIENCE:.0f} seconds.",
                    f"See `systemctl status {self.unit}`, then run `virtsec setup` again.",
                )
            time.sleep(_PAUSE)

    def undo(self, host: Host) -> None:
        """Nothing: a hook that is gone again is not found, whatever the daemon remembers."""

    def _state(self) -> dict[str, str]:
        """systemd's view of the daemon: its properties `_SHOWN`, by name."""
        shown = _systemctl("show", f"--property={','.join(_SHOWN)}", self.unit).stdout
        return dict.fromkeys(_SHOWN, "") | dict(
            line.split("=", 1) for line in shown.splitlines() if "=" in line
        )

    def _reloaded_since(self, before: dict[str, str]) -> bool:
        now = self._state()
        return now["ActiveState"] == "active" and now[_CHANGED] != before[_CHANGED]


def _systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    try:
        return call(SYSTEMCTL, *words)
    except OSError as error:
        raise HostNotReady(
            "systemctl, which tells libvirt's daemon of the hook, is not there.",
            "virtsec needs a host that runs systemd.",
        ) from error
