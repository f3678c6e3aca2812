"""adopt and release: domains that somebody else made, confined and given back."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import PurePosixPath

from virtsec.commands.facts import gather
from virtsec.commands.find import find, find_ours
from virtsec.commands.host import check_ready, open_host
from virtsec.commands.results import Kind
from virtsec.domain.document import parse, tidied
from virtsec.domain.metadata import BEFORE, read, readable
from virtsec.errors import Refused
from virtsec.host.lock import host_lock
from virtsec.plans.adopt import AdoptPlan, plan_adopt, plan_release
from virtsec.rootfs.sources import inspect_source
from virtsec.spec import Label
from virtsec.step import Host, Watcher, execute


@dataclass(frozen=True, slots=True)
class Adopted:
    """A domain that is confined from now on, or would be."""

    name: str  #: the domain's
    kind: Kind
    label: Label
    rootfs: PurePosixPath  #: the tree that is labelled
    diff: str  #: of its definition, as `diff -u` writes it


@dataclass(frozen=True, slots=True)
class Released:
    """A domain that is as it was before it was adopted."""

    name: str  #: the domain's
    rootfs: PurePosixPath  #: the tree that has the labels it had


def adopt(
    name: str, host: Host | None = None, *, dry_run: bool = False, watch: Watcher | None = None
) -> Adopted:
    """Confine the stopped domain `name` that virsh, virt-install or virt-manager made.

    Whatever else is in its definition stays. Raises `NotFound`, `Refused` for one that is virtsec's
    already, runs or has what no container may have, and `BadInput` for a name that none may have;
    nothing is changed then. `Failed` is raised when a step fails; what was begun is undone.
    """
    host = host or open_host()
    check_ready(host)
    with host_lock(host.progress):
        record = find(name, host)
        if read(record.xml) is not None:
            raise Refused(f"{name} is virtsec's already.", f"See `virtsec info {name}`.")
        plan = plan_adopt(record, gather(host), host.mac)
        spec = plan.container.spec
        inspect_source(None, spec.rootfs, spec.init)
        if not dry_run:
            execute(plan.steps, host, watch)
    return Adopted(
        name=name,
        kind=Kind.PRIVILEGED if spec.privileged else Kind.UNPRIVILEGED,
        label=plan.container.identity.label,
        rootfs=spec.rootfs,
        diff=_diff(plan),
    )


def release(name: str, host: Host | None = None, watch: Watcher | None = None) -> Released:
    """Give the stopped domain `name` back as it was when it was adopted, with its files' labels.

    Raises `Refused` while it runs or where virtsec made it, and `Failed` when a step fails; what
    was begun is undone then.
    """
    host = host or open_host()
    check_ready(host)
    with host_lock(host.progress):
        record, container = find_ours(name, host)
        others = [each for each in readable(host.libvirt.domains()) if each.name != name]
        execute(plan_release(container, record, others, host.mac), host, watch)
    return Released(name, container.spec.rootfs)


def _diff(plan: AdoptPlan) -> str:
    name = plan.container.name
    changed = parse(plan.after, name)
    for each in changed.iter(BEFORE):
        each.text = "(what is shown here with a minus)"
    before, after = (
        tidied(root).splitlines(keepends=True) for root in (parse(plan.before, name), changed)
    )
    return "".join(difflib.unified_diff(before, after, f"{name} before", f"{name} after"))
