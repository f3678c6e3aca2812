"""What is left of containers that libvirt does not know any more: virsh takes the domain alone."""

from __future__ import annotations

from pathlib import Path

from virtsec.diagnosis.check import Check, Fault
from virtsec.domain.limits import slice_of
from virtsec.host import expose
from virtsec.host.lock import host_lock
from virtsec.rootfs.unfinished import is_unfinished
from virtsec.runtime.refusal import is_name
from virtsec.spec import STORE
from virtsec.step import Host


def left_check(host: Host) -> Check:
    """That no policy, exposed port or limit of a container is there without its domain."""

    def look() -> Fault | None:
        if not _names(host):
            return None
        with host_lock(host.progress):  # one that is being made has its policy before its domain
            names = _names(host)
        if not names:
            return None
        more = f", nor are {len(names) - 1} others" if names[1:] else ""
        return Fault(
            f"{names[0]} is no domain any more{more}; policy, exposed ports or limits are left.",
            f"Run `virtsec define {names[0]}` to have it again with the tree that is left, or "
            "`virtsec doctor --fix` to take away what is not its tree.",
            mend,
        )

    def mend() -> None:
        with host_lock(host.progress):
            names = _names(host)
            host.mac.unload(names)
            if limited := host.systemd.limited([slice_of(name) for name in names]):
                host.systemd.forget(limited)
            for name in names:
                host.systemd.put_units([*expose.installed(name, host)], {}, host.mac.restore)

    return Check("left", "Nothing is left of containers that libvirt does not know.", look)


def _names(host: Host) -> list[str]:
    """Those of which something is left, but for what a definition that was cut off left."""
    known = {record.name for record in host.libvirt.domains()}
    there = {*host.mac.loaded(), *expose.names(host), *_limited(host)} - known
    return sorted(each for each in there if not is_unfinished(STORE / each / "rootfs"))


def _limited(host: Host) -> list[str]:
    """Those that systemd limits, of whom there is a directory of ours: a slice says not whose."""
    stored = [path.name for path in Path(STORE).glob("*/") if is_name(path.name)]
    limited = host.systemd.limited([slice_of(name) for name in stored])
    return [name for name in stored if slice_of(name) in limited]
