"""Domains that somebody else made: confined, and given back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from virtsec.domain.adopt import adopted, given_back, ids_of
from virtsec.domain.checks import check_spec
from virtsec.domain.claims import claims
from virtsec.domain.metadata import Container
from virtsec.domain.records import DomainRecord
from virtsec.domain.steps import ForgetSlices, LimitSlice, RedefineDomain
from virtsec.errors import Refused
from virtsec.mac.protocol import MacModule
from virtsec.mac.steps import LoadPolicy, UnloadPolicies
from virtsec.names import check_name
from virtsec.plans.host import HostFacts, Roots, check_stopped, order, policy_of
from virtsec.plans.reach import expose, going, plan_unlink, set_traffic
from virtsec.plans.undefine import without
from virtsec.rootfs.owners import AdoptTree, Owner, ReleaseTree
from virtsec.rootfs.steps import FlushTree
from virtsec.spec import ApartBy
from virtsec.step import Step


@dataclass(frozen=True, slots=True)
class AdoptPlan:
    """What `adopt` will do, and what comes of it."""

    container: Container
    before: str  #: the definition it has
    after: str  #: and will have
    steps: tuple[Step, ...]


def plan_adopt(record: DomainRecord, facts: HostFacts, mac: MacModule) -> AdoptPlan:
    """Confine a stopped domain that somebody else made; its definition changes last.

    Until then it is somebody else's still, and an interrupted `adopt` can be run again. Raises
    `BadInput` or `Refused` for one that cannot be.
    """
    check_stopped(record, "adopted")
    check_name(record.name)
    others = claims(each for each in facts.domains if each.name != record.name)
    label = mac.labels(others.labels).give(record.name, ApartBy.TYPE)
    seclabel = mac.seclabel(label, facts.models)
    container, after = adopted(record.xml, label, seclabel, facts.controller, remember=True)
    check_spec(container.spec)
    Roots(others.roots).check(container.spec.rootfs)
    owner = Owner(container.identity.ids, mac.marks(label))
    spec = container.spec
    steps: tuple[Step, ...] = (
        LoadPolicy(policy_of(container, mac)),
        AdoptTree(spec.rootfs, owner, spec.init),
        *order(record.name, None, container),
        LimitSlice(spec.name, None, spec.limits),
        FlushTree(spec.rootfs),
        RedefineDomain(record.name, record.xml, after),
    )
    return AdoptPlan(container, record.xml, after, steps)


def plan_release(
    container: Container, record: DomainRecord, others: Sequence[Container], mac: MacModule
) -> tuple[Step, ...]:
    """Give an adopted domain back as it was, links to and from it gone; its definition goes last.

    Raises `Refused`, and `BadInput` when what it was makes no sense.
    """
    if container.before is None:
        raise Refused(
            f"{record.name} was made by virtsec, not adopted.", "Undefine it, or leave it confined."
        )
    check_stopped(record, "released")
    spec = container.spec
    owner = Owner(container.identity.ids, mac.marks(container.identity.label))
    everybody = [*others, container]
    left = without({record.name}, everybody)
    before = given_back(container.before, record.name, record.uuid, spec.rootfs)
    return (
        *plan_unlink(everybody, left, mac),
        ReleaseTree(spec.rootfs, owner, ids_of(container.before), spec.init),
        *expose(spec, None),
        *order(record.name, container, None),
        ForgetSlices(((record.name, spec.limits),)),
        UnloadPolicies((policy_of(container, mac),)),
        FlushTree(spec.rootfs),
        RedefineDomain(record.name, record.xml, before),
        *set_traffic([*going(everybody, left), *left], left),
    )
