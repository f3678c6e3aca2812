"""What must be true of each container."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from virtsec.commands.definition import label as label_again
from virtsec.commands.find import find_ours
from virtsec.commands.live import init_pid
from virtsec.diagnosis.check import Check, Fault
from virtsec.domain.claims import Claims
from virtsec.domain.limits import properties, slice_of
from virtsec.domain.metadata import Container, read_record
from virtsec.domain.orders import kept, orders, write_orders
from virtsec.domain.records import DomainRecord
from virtsec.domain.verdict import differences
from virtsec.errors import BadInput
from virtsec.host.expose import Expose, is_exposed
from virtsec.host.lock import host_lock
from virtsec.plans.host import policy_of
from virtsec.rootfs.mapped import is_nosuid
from virtsec.rootfs.steps import KeepTree
from virtsec.rootfs.trust import check_parents
from virtsec.rootfs.unfinished import is_going, is_unfinished
from virtsec.spec import NetworkKind
from virtsec.step import Host

_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def is_ours(record: DomainRecord) -> bool:
    """Whether virtsec made it; one whose metadata is broken counts."""
    try:
        return read_record(record) is not None
    except BadInput:
        return True


def container_checks(
    record: DomainRecord, claimed: Mapping[str, Claims], host: Host
) -> list[Check]:
    """All there is to ask about a container; only what is wrong of one with broken metadata, or of
    another security module.

    `claimed` is what each domain of the host has, by name.
    """
    try:
        container = read_record(record)
    except BadInput:
        container = None

    def definition() -> Fault | None:
        read_record(record)
        wrong = differences(record.name, record.xml)
        if not wrong:
            return None
        return Fault(
            f"It would not be started: {wrong[0]}",
            f"Put it back with `virsh -c lxc:/// edit {record.name}`.",
        )

    found = [Check("definition", "Its definition is what virtsec made of it.", definition)]
    if container is None:
        return found
    found.append(Check("module", "The security module that it was defined under runs.",
                       lambda: _module(container, host)))  # fmt: skip
    if _module(container, host):  # all else is about its label, or asks that module
        return found
    return [
        *found,
        Check("alone", "No other domain has its label, ids or tree.",
              lambda: _shared(container, claimed, host)),
        Check("policy-loaded", "Its policy is loaded, and this version's.",
              lambda: _policy(container, host)),
        Check("root", "Its tree is there, and only root may put another in its place.",
              lambda: _root(container)),
        Check("kept", "Its definition was not cut off.", lambda: _kept(container, host)),
        Check("labelled", "Its tree has its label.", lambda: _labelled(container, record, host)),
        Check("mounts", "What is mounted into it is there.", lambda: _mounts(container)),
        Check("network", "Its network is active.", lambda: _network(container, host)),
        Check("limits", "systemd limits it as its metadata says.",
              lambda: _limited(container, host)),
        Check("orders", "Its controller will do what its metadata says.",
              lambda: _ordered(container, host)),
        Check("exposed", "Its exposed ports are those of this host that are to be.",
              lambda: _exposed(container, host)),
        Check("live-label", "If it runs, then with its own label.",
              lambda: _live(container, record, host)),
    ]  # fmt: skip


def _module(container: Container, host: Host) -> Fault | None:
    model = container.identity.label.model
    if model == host.mac.model:
        return None
    return Fault(
        f"It was defined under {model}, and {host.mac.model} runs: it is not started.",
        f"Boot with security={model}, or run `virtsec undefine {container.name}` and define it "
        "again with the tree that is left.",
    )


def _shared(container: Container, claimed: Mapping[str, Claims], host: Host) -> Fault | None:
    name, identity = container.name, container.identity
    for other, theirs in claimed.items():
        if other == name:
            continue
        shared = [
            what
            for what, holds in (
                ("label", any(host.mac.overlaps(each, identity.label) for each in theirs.labels)),
                ("ids", any(identity.ids and identity.ids.overlaps(ids) for ids in theirs.ids)),
                ("tree", container.spec.rootfs in theirs.roots),
            )
            if holds
        ]
        if shared:
            return Fault(
                f"The domain {other} has the same {' and '.join(shared)}.",
                f"Take it from {other}, or undefine one of them and define it anew.",
            )
    return None


def _mend(name: str, host: Host, how: Callable[[Container], None]) -> Callable[[], None]:
    """Mend container `name` as it is by then, while no other virtsec changes it."""

    def mend() -> None:
        with host_lock(host.progress):
            _, container = find_ours(name, host)
            how(container)

    return mend


def _policy(container: Container, host: Host) -> Fault | None:
    if host.mac.loaded().get(container.name, "") == policy_of(container, host.mac).text:
        return None
    return Fault(
        "Its policy is not loaded, or not this version's.",
        "Run `virtsec doctor --fix`, which loads it.",
        _mend(container.name, host, lambda now: host.mac.load([policy_of(now, host.mac)])),
    )


def _root(container: Container) -> Fault | None:
    root = Path(container.spec.rootfs)
    try:
        status = root.lstat()
    except FileNotFoundError:
        return Fault(f"{root} is not there.", "Put it back, or undefine the container.")
    check_parents(container.spec.rootfs)
    ids = container.identity.ids
    owner = ids.start if ids else 0
    if not stat.S_ISDIR(status.st_mode):
        return Fault(f"{root} is not a directory.", "Put its tree back.")
    if status.st_uid != owner:
        return Fault(
            f"{root} belongs to the id {status.st_uid}, not to {owner}, which is its root.",
            f"Stop it and run `virtsec label {container.name}`.",
        )
    if status.st_mode & _OTHERS_MAY_WRITE:
        return Fault(f"{root} may be written by others.", f"Run `chmod go-w {root}`.")
    return None


def _kept(container: Container, host: Host) -> Fault | None:
    root = container.spec.rootfs
    if not is_unfinished(root):
        return None
    if is_going(root):
        return Fault(
            f"Its removal was cut off: of {root} there is not all that was.",
            f"Run `virtsec undefine {container.name} --storage` again.",
        )

    def keep(now: Container) -> None:
        if is_unfinished(now.spec.rootfs):
            KeepTree(now.spec.rootfs, made=False).apply(host)

    return Fault(
        "Its definition was cut off: whether it starts with the host may not be as it was asked.",
        "Run the same `virtsec define` again, or `virtsec doctor --fix` to leave that as it is.",
        _mend(container.name, host, keep),
    )


def _labelled(container: Container, record: DomainRecord, host: Host) -> Fault | None:
    root, wanted = container.spec.rootfs, container.identity.label.file
    if not Path(root).is_dir() or (found := host.mac.file_label(root)) == wanted:
        return None

    def mend() -> None:
        label_again(container.name, host)

    return Fault(
        f"{root} is labelled {found or 'not at all'}, not {wanted}.",
        f"{'Stop it and run' if record.active else 'Run'} `virtsec label {container.name}`.",
        None if record.active else mend,
    )


def _mounts(container: Container) -> Fault | None:
    for mount in container.spec.mounts:
        if not os.path.isdir(mount.source):  # noqa: PTH112  (the path is the host's, not ours)
            return Fault(
                f"{mount.source}, which is mounted at {mount.target}, is not there.",
                f"Make it, or take the mount out with `virsh -c lxc:/// edit {container.name}`.",
            )
        if mount.idmap and not is_nosuid(mount.source):
            return Fault(
                f"{mount.source}, where root inside is root, is not mounted nosuid.",
                f"Run `mount --bind -o nosuid {mount.source} {mount.source}`.",
            )
    return None


def _network(container: Container, host: Host) -> Fault | None:
    network = container.spec.network
    if network.kind is not NetworkKind.NETWORK:
        return None
    found = host.libvirt.networks().get(network.source)
    if found is None:
        return Fault(
            f"There is no network {network.source}.",
            "Define it with virsh, or choose another with "
            f"`virsh -c lxc:/// edit {container.name}`.",
        )
    if found.active:
        return None
    return Fault(
        f"The network {network.source} is not active.",
        f"Run `virsh net-start {network.source}`.",
        lambda: host.libvirt.start_network(network.source),
    )


def _limited(container: Container, host: Host) -> Fault | None:
    unit, wanted = slice_of(container.name), properties(container.spec.limits)
    shown = host.systemd.shown(unit, wanted)
    differing = [key for key, text in wanted.items() if shown.get(key) != text]
    if not differing:
        return None
    return Fault(
        f"{differing[0]} of {unit} is {shown.get(differing[0]) or 'not set'}, and is to be "
        f"{wanted[differing[0]]}.",
        "Run `virtsec doctor --fix`, which sets it.",
        _mend(
            container.name,
            host,
            lambda now: host.systemd.set_properties(unit, properties(now.spec.limits)),
        ),
    )


def _ordered(container: Container, host: Host) -> Fault | None:
    wanted, found = orders(container), kept(container.name)
    if sorted(found.split("\n")) == sorted(wanted.split("\n")):  # in whatever order, as to the hook
        return None
    return Fault(
        f"The orders to its controller are {found!r}, not {wanted!r}.",
        "Run `virtsec doctor --fix`, which writes them.",
        _mend(container.name, host, lambda now: write_orders(now.name, orders(now))),
    )


def _exposed(container: Container, host: Host) -> Fault | None:
    wanted = container.spec if container.spec.exposed else None
    if is_exposed(container.name, wanted, host):
        return None
    ports = ", ".join(map(str, container.spec.exposed)) or "none"

    def expose(now: Container) -> None:
        Expose(now.name, None, now.spec if now.spec.exposed else None).apply(host)

    return Fault(
        f"Its ports are not exposed as they are to be: {ports}.",
        "Run `virtsec doctor --fix`, which puts that in force.",
        _mend(container.name, host, expose),
    )


def _live(container: Container, record: DomainRecord, host: Host) -> Fault | None:
    init, wanted = init_pid(record.pid), container.identity.label.process
    if init is None or (found := host.mac.process_label(init)) in {None, wanted}:
        return None
    return Fault(
        f"It runs as {found}, not as {wanted}.",
        f"Stop it now: `virtsec destroy {container.name}`.",
    )
