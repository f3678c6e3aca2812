"""Properties of systemd's units, through systemctl."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from virtsec.mac.install import SYSTEMCTL, run

_UNSET = "[not set]"  # as systemctl shows what `KEY=` takes back


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
        words = [word for name in names for word in ("--property", name)]
        pairs = (line.partition("=") for line in run(SYSTEMCTL, "show", *words, unit).splitlines())
        return {key: "" if text == _UNSET else text for key, _, text in pairs}
