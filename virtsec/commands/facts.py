"""Gathering what planning must know of the host."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from virtsec.domain import idrange
from virtsec.domain.metadata import CONTROLLER
from virtsec.plans.host import HostFacts
from virtsec.spec import STORE, IdRange
from virtsec.step import Host


def gather(host: Host) -> HostFacts:
    """The facts as they are now; hold the host's lock if they are to stay so."""
    return HostFacts(
        domains=tuple(host.libvirt.domains()),
        subordinate=_subordinate(),
        networks=host.libvirt.networks(),
        models=host.libvirt.security_models(),
        controller=CONTROLLER,
        accounts=_accounts(),
        bridges=_bridges(),
        trees=_trees(Path(STORE)),
    )


def _subordinate() -> tuple[IdRange, ...]:
    texts = map(_text, ("/etc/subuid", "/etc/subgid"))
    return tuple(ids for text in texts for ids in idrange.read_subordinate(text))


def _accounts() -> tuple[IdRange, ...]:
    texts = map(_text, ("/etc/passwd", "/etc/group"))
    return tuple(ids for text in texts for ids in idrange.read_accounts(text))


def _text(path: str) -> str:
    """A file's text, with bytes that are no UTF-8 replaced; a missing file is empty."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _bridges() -> frozenset[str]:
    """Bridges of the host (sysfs has a directory `bridge` in each one's own)."""
    return frozenset(path.parent.name for path in Path("/sys/class/net").glob("*/bridge"))


def _trees(store: Path) -> dict[PurePosixPath, IdRange]:
    """Shifted trees in the store; the owner of each one's root is the first of its ids."""
    found = {}
    for root in store.glob("*/rootfs"):
        owner = root.lstat().st_uid
        if owner:
            found[PurePosixPath(root)] = IdRange(owner)
    return found
