"""Properties of systemd's units, through systemctl."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from virtsec.mac.install import SYSTEMCTL, active, read, remove, replace, run
from virtsec.runtime.view import CGROUPS

_UNITS = Path("/etc/systemd/system")
_SET = Path("/etc/systemd/system.control")  # what set-property keeps, for each unit a directory
_GROUPS = Path(CGROUPS, "machine.slice")

_UNSET = "[not set]"  # as systemctl shows what `KEY=` takes back
_UNLIMITED = "infinity"
#: What is shown under another name than it is set by.
_SHOWN = {"CPUQuota": "CPUQuotaPerSecUSec"}
_SECONDS = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}  # systemd.time(7)
_PART = re.compile(r"([0-9.]+)(h|min|s|ms|us)")


class Systemd:
    """The host's service manager. Each method raises `Failed` with what it said."""

    def set_properties(self, unit: str, properties: Mapping[str, str]) -> None:
        """Have a unit so from now on, and after each boot; whether it runs or not."""
        run(SYSTEMCTL, "set-property", unit, *(f"{key}={text}" for key, text in properties.items()))

    def limited(self, units: Collection[str]) -> list[str]:
        """Those that were given properties which are kept from boot to boot."""
        return [unit for unit in units if (_SET / f"{unit}.d").exists()]

    def forget(self, slices: Sequence[str]) -> None:
        """Have slices of /machine as they are without us, and those in which nothing runs no more.

        systemd never stops one by itself, and where a start failed nobody knows of its group.
        """
        run(SYSTEMCTL, "revert", *slices)
        if idle := [each for each in slices if not _populated(_GROUPS / each)]:
            run(SYSTEMCTL, "stop", *idle)
        for group in (_GROUPS / each for each in idle):
            for place in (*group.glob("*/"), group):
                with suppress(OSError):  # it is gone, or something runs in it by now
                    place.rmdir()

    def unit_files(self, prefix: str) -> Mapping[str, str]:
        """The texts of the administrator's units whose names begin so."""
        return {path.name: read(path) or "" for path in _UNITS.glob(f"{prefix}*.*")}

    def active(self, unit: str) -> bool:
        """Whether a unit is in force: a service runs, a socket is listened at."""
        return active(unit)

    def put_units(
        self,
        gone: Collection[str],
        texts: Mapping[str, str],
        restore: Callable[[Sequence[PurePosixPath]], None],
    ) -> None:
        """Take units away and have others, whose sockets are there from now on.

        `restore` labels their files.
        """
        if sockets := _sockets(gone):
            run(SYSTEMCTL, "disable", "--quiet", "--now", *sockets)
        # What a proxy was told when it began it knows until it ends.
        services = [unit for unit in (*gone, *texts) if unit.endswith(".service")]
        if there := [unit for unit in services if (_UNITS / unit).exists()]:
            run(SYSTEMCTL, "stop", *there)
        for unit in gone:
            remove(_UNITS / unit)
        for unit, text in texts.items():
            replace(_UNITS / unit, text)
        restore([PurePosixPath(_UNITS / unit) for unit in texts])
        if gone or texts:
            run(SYSTEMCTL, "daemon-reload")
        if sockets := _sockets(texts):
            run(SYSTEMCTL, "enable", "--now", *sockets)

    def shown(self, unit: str, names: Collection[str]) -> Mapping[str, str]:
        """What a unit has of these now, as `set_properties` takes it."""
        words = [word for name in names for word in ("--property", _SHOWN.get(name, name))]
        pairs = (line.partition("=") for line in run(SYSTEMCTL, "show", *words, unit).splitlines())
        found = {key: "" if text == _UNSET else text for key, _, text in pairs}
        for name, shown in _SHOWN.items():
            if shown in found:
                found[name] = percent(found.pop(shown))
        return found


def _populated(group: Path) -> bool:
    """Whether a process is in a control group or beneath it (cgroup-v2.rst)."""
    return "populated 1" in (read(group / "cgroup.events") or "").splitlines()


def _sockets(units: Collection[str]) -> list[str]:
    return [unit for unit in units if unit.endswith(".socket")]


def percent(time: str) -> str:
    """A quota that is shown as processor time in a second, such as "1s 500ms"; pure."""
    if time == _UNLIMITED:
        return ""
    parts = [_PART.fullmatch(each) for each in time.split()]
    seconds = sum(float(part[1]) * _SECONDS[part[2]] for part in parts if part)
    return f"{seconds * 100:.0f}%"
