"""Properties of systemd's units, through systemctl."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from virtsec.mac.install import SYSTEMCTL, run

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

    def forget(self, unit: str) -> None:
        """Have a unit as it is without us, once it is started again."""
        run(SYSTEMCTL, "revert", unit)

    def shown(self, unit: str, names: Collection[str]) -> Mapping[str, str]:
        """What a unit has of these now, as `set_properties` takes it."""
        words = [word for name in names for word in ("--property", _SHOWN.get(name, name))]
        pairs = (line.partition("=") for line in run(SYSTEMCTL, "show", *words, unit).splitlines())
        found = {key: "" if text == _UNSET else text for key, _, text in pairs}
        for name, shown in _SHOWN.items():
            if shown in found:
                found[name] = percent(found.pop(shown))
        return found


def percent(time: str) -> str:
    """A quota that is shown as processor time in a second, such as "1s 500ms"; pure."""
    if time == _UNLIMITED:
        return ""
    parts = [_PART.fullmatch(each) for each in time.split()]
    seconds = sum(float(part[1]) * _SECONDS[part[2]] for part in parts if part)
    return f"{seconds * 100:.0f}%"
