"""What the shell offers for a name. Quick, and silent whatever goes wrong."""

from __future__ import annotations

from virtsec.errors import VirtsecError


def containers(incomplete: str) -> list[str]:
    """Every domain of libvirt's LXC driver."""
    return _domains(incomplete, None)


def running(incomplete: str) -> list[str]:
    """Those that run."""
    return _domains(incomplete, True)


def inactive(incomplete: str) -> list[str]:
    """Those that do not."""
    return _domains(incomplete, False)


def networks(incomplete: str) -> list[str]:
    """libvirt's networks."""
    try:
        from virtsec.commands.host import network_names  # noqa: PLC0415  (slow to import)

        return [name for name in network_names() if name.startswith(incomplete)]
    except (VirtsecError, ImportError):
        return []


def bases(incomplete: str) -> list[str]:
    """Trees that containers share."""
    try:
        from virtsec.commands.bases import base_names  # noqa: PLC0415  (slow to import)

        return [name for name in base_names() if name.startswith(incomplete)]
    except (VirtsecError, OSError, ImportError):
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


def _domains(incomplete: str, active: bool | None) -> list[str]:
    try:
        from virtsec.commands.host import domain_names  # noqa: PLC0415  (slow to import)

        return [name for name in domain_names(active=active) if name.startswith(incomplete)]
    except (VirtsecError, ImportError):
        return []
