"""list and info."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from virtsec.commands import live
from virtsec.commands.find import find
from virtsec.commands.host import open_host
from virtsec.commands.results import Confinement, Info, Kind, Listed
from virtsec.domain.claims import mac_addresses, static_addresses
from virtsec.domain.metadata import Container, read_record
from virtsec.domain.records import DomainRecord
from virtsec.domain.verdict import differences
from virtsec.errors import BadInput
from virtsec.mac.protocol import Enforcement
from virtsec.step import Host

if TYPE_CHECKING:
    from virtsec.domain.connection import Libvirt

_KINDS = {True: Kind.PRIVILEGED, False: Kind.UNPRIVILEGED}
#: Domains that one process has judged before others could help.
_FEW = 200


def list_domains(host: Host | None = None, all_: bool = False) -> list[Listed]:
    """Every running domain of libvirt's LXC driver, with `all_` the others too, by name."""
    host = host or open_host()
    records = [record for record in host.libvirt.domains(xml=False) if all_ or record.active]
    leases = host.libvirt.leases() if any(record.active for record in records) else {}
    enforcement = host.mac.enforcement()

    def listed(libvirt: Libvirt, share: Sequence[DomainRecord]) -> list[Listed]:
        described = libvirt.described(share)
        return [_listed(record, leases, enforcement, host) for record in described]

    if len(records) <= _FEW:
        return listed(host.libvirt, records)
    from virtsec.shares import dealt, processors, spread  # noqa: PLC0415  (longer than to list a few)

    # libvirt, too, does for several at once what it does for each.
    shares = dealt(records, processors())
    found = chain.from_iterable(spread(partial(listed, host.libvirt.anew()), shares))
    return sorted(found, key=lambda each: each.name)


def info(name: str, host: Host | None = None) -> Info:
    """All about domain `name`, whoever made it; raises `NotFound`."""
    host = host or open_host()
    record = find(name, host)
    container, trouble = _container(record)
    init = live.init_pid(record.pid)
    label = host.mac.process_label(init) if init is not None else None
    confinement, remarks = judge(record, container, trouble, label, host.mac.enforcement())
    leases = host.libvirt.leases() if record.active else {}
    seen = Info(
        name=record.name,
        uuid=record.uuid,
        state=record.state,
        persistent=record.persistent,
        autostart=record.autostart,
        ours=confinement is not Confinement.FOREIGN,
        confinement=confinement,
        remarks=remarks,
        addresses=_addresses(record, leases),
        init_pid=init,
        live_label=label,
        label_holds=_holds(container, label),
    )
    return seen if container is None else _with_container(seen, container)


def judge(
    record: DomainRecord,
    container: Container | None,
    trouble: str | None,
    live_label: str | None,
    enforcement: Enforcement,
) -> tuple[Confinement, tuple[str, ...]]:
    """How a domain is confined, and a sentence on each thing that is not as it should be; pure.

    `trouble` is why metadata of ours cannot be read, `live_label` what init runs with, if it does.
    """
    if trouble is not None:
        return Confinement.BROKEN, (trouble,)
    if container is None:
        return Confinement.FOREIGN, (f"virtsec did not make {record.name}.",)
    edited = differences(record.name, record.xml)
    remarks = list(edited)
    if _holds(container, live_label) is False:
        remarks.insert(
            0,
            f"It runs as {live_label}, its definition says {container.identity.label.process}.",
        )
        return Confinement.MISLABELLED, tuple(remarks)
    if enforcement is Enforcement.PERMISSIVE:
        remarks.append("The security module is permissive: it reports, and refuses nothing.")
    if edited:
        return Confinement.EDITED, tuple(remarks)
    permissive = enforcement is Enforcement.PERMISSIVE
    return Confinement.PERMISSIVE if permissive else Confinement.CONFINED, tuple(remarks)


def _listed(
    record: DomainRecord,
    leases: Mapping[str, tuple[str, ...]],
    enforcement: Enforcement,
    host: Host,
) -> Listed:
    container, trouble = _container(record)
    init = live.init_pid(record.pid) if container is not None else None
    label = host.mac.process_label(init) if init is not None else None
    confinement, _ = judge(record, container, trouble, label, enforcement)
    return Listed(
        name=record.name,
        state=record.state,
        ours=confinement is not Confinement.FOREIGN,
        confinement=confinement,
        label=container.identity.label.process if container is not None else None,
        kind=_KINDS[container.spec.privileged] if container is not None else None,
        addresses=_addresses(record, leases),
    )


def _container(record: DomainRecord) -> tuple[Container | None, str | None]:
    try:
        return read_record(record), None
    except BadInput as error:
        return None, error.sentence


def _holds(container: Container | None, live_label: str | None) -> bool | None:
    if container is None or live_label is None:
        return None
    return live_label == container.identity.label.process


def _addresses(record: DomainRecord, leases: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    xml = record.live_xml or record.xml
    leased = (leases.get(mac, ()) for mac in mac_addresses(xml)) if record.active else ()
    return tuple(dict.fromkeys((*static_addresses(xml), *(ip for ips in leased for ip in ips))))


def _with_container(seen: Info, container: Container) -> Info:
    spec, identity = container.spec, container.identity
    return replace(
        seen,
        kind=_KINDS[spec.privileged],
        label=identity.label,
        ids=identity.ids,
        rootfs=spec.rootfs,
        source=spec.source,
        memory_mib=spec.limits.memory_mib,
        vcpus=spec.limits.vcpus,
        limits=spec.limits,
        network=spec.network,
        mounts=spec.mounts,
        init=spec.init,
        init_args=spec.init_args,
        init_policy=spec.init_policy.value,
        base=spec.base,
        scratch=spec.scratch,
        apart_by=spec.apart_by.value,
        egress=spec.egress.value,
        exposed=spec.exposed,
        links=spec.links,
        served=spec.served,
    )
