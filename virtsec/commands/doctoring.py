"""doctor: look at the host and at each container, and mend what can be mended safely."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from virtsec.commands.host import open_host
from virtsec.diagnosis.check import Check, Checked, examine
from virtsec.diagnosis.containers import container_checks, is_ours
from virtsec.diagnosis.host import host_checks, kernel_checks
from virtsec.domain.claims import claims
from virtsec.errors import HostNotReady
from virtsec.host.places import Places
from virtsec.step import Host


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All that was looked at."""

    healthy: bool  #: everything is good, mended or not
    checks: tuple[Checked, ...]


def doctor(
    connect: Callable[[], Host] = open_host, *, fix: bool = False, places: Places | None = None
) -> Diagnosis:
    """Look at everything; with `fix` mend what can be mended safely.

    `connect` gives the host, or raises `HostNotReady`, which is a fault like others.
    """
    found = tuple(_checked(connect, fix, places or Places()))
    return Diagnosis(all(each.good for each in found), found)


def _checked(connect: Callable[[], Host], fix: bool, places: Places) -> Iterator[Checked]:
    yield from examine("host", kernel_checks(places), fix=fix)
    try:
        host = connect()
    except HostNotReady as error:
        # What neither libvirt nor a security module answers cannot be asked any further.
        yield Checked("host", "reachable", False, error.sentence, error.remedy, False, False)
        return
    reachable = Check("reachable", "A security module and libvirt's LXC driver run.", lambda: None)
    yield from examine("host", [reachable, *host_checks(host, places)], fix=fix)
    records = host.libvirt.domains()
    claimed = {record.name: claims([record]) for record in records}
    for record in filter(is_ours, records):
        yield from examine(record.name, container_checks(record, claimed, host), fix=fix)
