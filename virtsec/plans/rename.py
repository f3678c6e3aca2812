"""A container by another name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from virtsec.domain.claims import claims
from virtsec.domain.links import with_links
from virtsec.domain.metadata import Container
from virtsec.domain.records import DomainRecord
from virtsec.domain.rename import of_other_name, renamed, with_renamed_links
from virtsec.domain.steps import (
    DefineDomain,
    ForgetSlices,
    LimitSlice,
    SetAutostart,
    UndefineDomain,
)
from virtsec.mac.protocol import MacModule
from virtsec.mac.steps import LoadPolicy, UnloadPolicies
from virtsec.names import check_name
from virtsec.plans.host import HostFacts, check_name_is_free, check_stopped, policy_of, seen
from virtsec.plans.reach import expose, plan_link, set_traffic
from virtsec.rootfs.follow import RemoveBeside, beside
from virtsec.rootfs.owners import GiveTree, Owner
from virtsec.rootfs.steps import FlushTree, MoveStore
from virtsec.spec import STORE
from virtsec.step import Step


def plan_rename(
    container: Container,
    record: DomainRecord,
    others: Sequence[Container],
    new: str,
    *,
    facts: HostFacts,
    mac: MacModule,
) -> tuple[Step, ...]:
    """Have a stopped container be called `new`, and what is called by its name likewise.

    Its domain under the old name goes last: until then an interrupted `rename` can be run again.
    `others` are all containers but this one. Raises `BadInput` or `Refused`.
    """
    check_stopped(record, "renamed")
    check_name(new)
    old = container.name
    finished = _renamed_before(container, others, new)
    if finished is None:
        check_name_is_free(new, facts)
    taken = claims(facts.domains).labels
    if finished is None:
        label = mac.labels(taken).give(new, container.spec.apart_by)
    else:
        label = finished.identity.label
    after = renamed(container, new, label)
    own, target = STORE / old, STORE / new
    ids = container.identity.ids
    owners = (
        Owner(ids, mac.marks(container.identity.label)),
        Owner(ids, mac.marks(label)),
    )
    limits = container.spec.limits
    xml = of_other_name(record.xml, container, after, mac.seclabel(label, facts.models))
    left = [with_renamed_links(each, old, new) for each in others if each.name != new]
    everybody = [*others, container]
    steps: list[Step] = []
    if finished is None:
        steps += [
            *set_traffic(everybody, [*everybody, *with_links([after], {})]),
            LoadPolicy(policy_of(after, mac)),
            *([] if container.spec.base is None else [RemoveBeside(beside(old))]),
            MoveStore(own, target),
            seen(after.spec, GiveTree(after.spec.rootfs, *owners, after.spec.init)),
            LimitSlice(new, None, limits),
            FlushTree(after.spec.rootfs),
            DefineDomain(new, xml),
        ]
    if record.autostart and not (finished and finished.spec.autostart):
        steps.append(SetAutostart(new))
    steps += plan_link(everybody, [*left, after], mac)
    steps += [
        *expose(container.spec, None),
        *expose(None, after.spec),
        ForgetSlices(((old, limits),)),
        UnloadPolicies((policy_of(container, mac),)),
        UndefineDomain(old, record.xml, record.autostart),
        *set_traffic([*with_links([container], {}), *left, after], [*left, after]),
    ]
    return tuple(steps)


def _renamed_before(
    container: Container, others: Sequence[Container], new: str
) -> Container | None:
    """What an earlier run that was killed at its end has made of the container."""
    wanted = renamed(container, new, container.identity.label)
    return next(
        (
            each
            for each in others
            if replace(each.spec, autostart=wanted.spec.autostart) == wanted.spec
            and each.identity.ids == wanted.identity.ids
        ),
        None,
    )
