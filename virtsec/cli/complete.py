"""What the shell offers for a name. Quick, and silent whatever goes wrong."""

from __future__ import annotations

from collections.abc import Callable

from virtsec.errors import VirtsecError


def containers(incomplete: str) -> list[str]:
    """Every domain of libvirt's LXC driver."""
    return _domains(incomplete, lambda _active: True)


def running(incomplete: str) -> list[str]:
    """Those that run."""
    return _domains(incomplete, lambda active: active)


def inactive(incomplete: str) -> list[str]:
    """Those that do not."""
    return _domains(incomplete, lambda active: not active)


def networks(incomplete: str) -> list[str]:
    """libvirt's networks."""
    try:
        from virtsec.domain.connection import Libvirt  # noqa: PLC0415  (slow to import)

        names = sorted(Libvirt.connect().networks())
    except (VirtsecError, ImportError):
        return []
    return [name for name in names if name.startswith(incomplete)]


def bases(incomplete: str) -> list[str]:
    """Trees that containers share."""
    try:
        from virtsec.commands.bases import names  # noqa: PLC0415  (slow to import)

        return [name for name in names() if name.startswith(incomplete)]
    except (OSError, ImportError):
        return []


def confinements(incomplete: str) -> list[str]:
    """What parts a container from others."""
    return [word for word in ("type", "category") if word.startswith(incomplete)]


def egresses(incomplete: str) -> list[str]:
    """Whom a container may ask."""
    return [word for word in ("none", "lan", "all") if word.startswith(incomplete)]


def init_policies(incomplete: str) -> list[str]:
    """What the hook does with init."""
    return [word for word in ("own", "pristine") if word.startswith(incomplete)]


def _domains(incomplete: str, wanted: Callable[[bool], bool]) -> list[str]:
    try:
        from virtsec.domain.connection import Libvirt  # noqa: PLC0415  (slow to import)

        records = Libvirt.connect().domains(xml=False)
    except (VirtsecError, ImportError):
        return []
    return [r.name for r in records if wanted(r.active) and r.name.startswith(incomplete)]
