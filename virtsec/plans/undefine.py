"""Containers taken apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from virtsec.domain.links import links_of, with_links
from virtsec.domain.metadata import Container
from virtsec.domain.pristine import DropInit
from virtsec.domain.records import DomainRecord
from virtsec.domain.steps import ForgetSlices, UndefineDomain
from virtsec.errors import Refused
from virtsec.mac.protocol import MacModule
from virtsec.mac.steps import UnloadPolicies
from virtsec.plans.host import check_stopped, order, owns_tree, policy_of, seen
from virtsec.plans.reach import expose, going, plan_unlink, set_traffic
from virtsec.rootfs.follow import RemoveBeside, beside
from virtsec.rootfs.layers import RemoveLayers
from virtsec.rootfs.owners import RestTree
from virtsec.rootfs.steps import LeaveTree, RemoveTree
from virtsec.spec import InitPolicy
from virtsec.step import Step


def check_undefine(container: Container, record: DomainRecord, storage: bool) -> None:
    """Raise `Refused` where a container runs, or its tree was there before virtsec."""
    check_stopped(record, "undefined")
    spec = container.spec
    if storage and not owns_tree(spec):
        raise Refused(
            f"{spec.rootfs} was there before virtsec, so it is not removed.",
            f"Undefine {spec.name} without --storage and remove the tree yourself.",
        )


def plan_undefine(
    leaving: Sequence[tuple[Container, DomainRecord]],
    containers: Sequence[Container],
    storage: bool,
    mac: MacModule,
    inits: Mapping[str, bytes | None] | None = None,
) -> tuple[Step, ...]:
    """Take containers' labels, or with `storage` their trees, their policies and domains away.

    With them go links from and to them; `containers` are all there are. `inits` are the copies that
    are kept of theirs, by name. Domains go last: until then
    an interrupted `undefine` can be run again. Raises as `check_undefine` does.
    """
    left = without({each.name for each, _ in leaving}, containers)
    steps = list(plan_unlink(containers, left, mac))
    for container, record in leaving:
        check_undefine(container, record, storage)
        spec, identity = container.spec, container.identity
        if storage:
            if spec.base is not None:
                steps += [RemoveBeside(beside(spec.name)), RemoveLayers(spec.rootfs)]
            steps.append(RemoveTree(spec.rootfs))
        else:
            marks = mac.marks(identity.label)
            steps.append(seen(spec, RestTree(spec.rootfs, marks, identity.ids, spec.init)))
            steps.append(LeaveTree(spec.rootfs))
    steps.append(UnloadPolicies(tuple(policy_of(container, mac) for container, _ in leaving)))
    for container, _ in leaving:
        if container.spec.init_policy is InitPolicy.PRISTINE:
            before = (inits or {}).get(container.name)
            steps.append(DropInit(container.name, before=before))
        steps += expose(container.spec, None)
        steps += order(container.name, container, None)
    if leaving:
        limits = tuple((record.name, container.spec.limits) for container, record in leaving)
        steps.append(ForgetSlices(limits))
    for _, record in leaving:
        steps.append(UndefineDomain(record.name, record.xml, record.autostart))
    steps += set_traffic([*going(containers, left), *left], left)
    return tuple(steps)


def without(names: Set[str], containers: Sequence[Container]) -> list[Container]:
    """The other containers, with no link to `names`."""
    links = {
        name: tuple(link for link in asked if link.to not in names)
        for name, asked in links_of(containers).items()
        if name not in names
    }
    return with_links([each for each in containers if each.name not in names], links)
