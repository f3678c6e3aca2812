"""A container that is new: what it gets, and the steps to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from virtsec.domain.adopt import adopted, described
from virtsec.domain.checks import check_spec
from virtsec.domain.claims import claims
from virtsec.domain.metadata import Container, readable
from virtsec.domain.pristine import KeepInit
from virtsec.domain.steps import DefineDomain, LimitSlice, SetAutostart
from virtsec.domain.xml import domain_xml
from virtsec.errors import BadInput
from virtsec.mac.protocol import MacModule, Policy
from virtsec.mac.steps import LoadPolicy
from virtsec.names import check_name
from virtsec.plans.host import (
    HostFacts,
    Roots,
    check_name_is_free,
    order,
    policy_of,
    seen,
)
from virtsec.plans.offer import Offer
from virtsec.plans.reach import check_exposed_apart, expose, set_traffic
from virtsec.rootfs.steps import FlushTree, plan_keep, plan_root
from virtsec.spec import (
    ApartBy,
    ContainerSpec,
    InitPolicy,
)
from virtsec.step import Step

if TYPE_CHECKING:
    from virtsec.rootfs.sources import Source


@dataclass(frozen=True, slots=True)
class DefinePlan:
    """What `define` will do, and what comes of it."""

    container: Container
    policy: Policy
    xml: str
    steps: tuple[Step, ...]
    given: str | None = None  #: the definition it is made of, where there was one


def plan_define(
    spec: ContainerSpec,
    facts: HostFacts,
    mac: MacModule,
    source: Source | None = None,
    fitting: Sequence[Step] = (),
) -> DefinePlan:
    """Give `spec` what nobody else has and plan its definition.

    `source` is what `inspect_source` found, `fitting` what is done in the tree. A definition that
    is interrupted leaves no domain, for that comes last, or `plan_rest` says what is left to do;
    to define again takes up what is there.
    Raises `BadInput`, `NotFound` or `Refused` for what cannot be.
    """
    known = list(readable(facts.domains))
    container = Offer(facts, mac).identified(spec)
    check_exposed_apart(container.spec, known)
    policy = policy_of(container, mac)
    making = plan_making(container, facts, mac, source, fitting)
    before = (LoadPolicy(policy), *set_traffic(known, [*known, container]))
    return DefinePlan(container, policy, making.xml, (*before, *making.steps))


def plan_rest(spec: ContainerSpec, facts: HostFacts, mac: MacModule) -> DefinePlan | None:
    """What is left of a definition that was cut off when libvirt had the domain; pure.

    None where `spec` asks for another container than the domain of its name is. Raises as
    `plan_define`.
    """
    found = next((each for each in facts.domains if each.name == spec.name), None)
    container = None if found is None else next(readable([found]), None)
    if found is None or container is None:
        return None
    others = tuple(each for each in facts.domains if each is not found)
    asked = Offer(replace(facts, domains=others), mac).identified(spec).spec
    wanted = replace(container.spec, autostart=asked.autostart)
    if replace(asked, source=asked.source or wanted.source) != wanted:
        return None
    policy = policy_of(container, mac)
    return DefinePlan(replace(container, spec=wanted), policy, found.xml, plan_last(wanted))


def plan_last(spec: ContainerSpec) -> tuple[Step, ...]:
    """What needs the domain to be there; until it is done the tree is noted as unfinished."""
    autostart = [SetAutostart(spec.name)] if spec.autostart else []
    return (*expose(None, spec), *autostart, *plan_keep(spec))


@dataclass(frozen=True, slots=True)
class Making:
    """How one container comes to be once its policy is loaded."""

    xml: str
    steps: tuple[Step, ...]


def plan_making(
    container: Container,
    facts: HostFacts,
    mac: MacModule,
    source: Source | None = None,
    fitting: Sequence[Step] = (),
) -> Making:
    """Plan what is one container's alone; `source` and `fitting` are as for `plan_define`."""
    spec, identity = container.spec, container.identity
    xml = domain_xml(spec, identity, mac.seclabel(identity.label, facts.models), facts.controller)
    steps: list[Step] = [
        *plan_root(spec, identity, mac.marks(identity.label), source),
        *fitting,
    ]
    if spec.init_policy is InitPolicy.PRISTINE:
        steps.append(seen(spec, KeepInit(spec.name, spec.rootfs, spec.init)))
    steps += order(spec.name, None, container)
    steps += [LimitSlice(spec.name, None, spec.limits), FlushTree(spec.rootfs)]
    steps += [DefineDomain(spec.name, xml), *plan_last(spec)]
    return Making(xml, tuple(steps))


def plan_from_xml(xml: str, facts: HostFacts, mac: MacModule) -> DefinePlan:
    """Confine what a definition describes that libvirt does not know; its tree is there.

    Raises `BadInput` or `Refused` for one that cannot be.
    """
    name = check_name(described(xml).name)
    check_name_is_free(name, facts)
    taken = claims(facts.domains)
    label = mac.labels(taken.labels).give(name, ApartBy.TYPE)
    seclabel = mac.seclabel(label, facts.models)
    container, after = adopted(xml, label, seclabel, facts.controller, remember=False)
    spec = container.spec
    check_spec(spec)
    Roots(taken.roots).check(spec.rootfs)
    ids = container.identity.ids
    if ids is not None and any(ids.overlaps(each) for each in taken.ids):
        raise BadInput(
            f"{name} would have ids that another domain has.", "Give it others in its <idmap>."
        )
    policy = policy_of(container, mac)
    steps: tuple[Step, ...] = (
        LoadPolicy(policy),
        *plan_root(spec, container.identity, mac.marks(label)),
        *order(name, None, container),
        LimitSlice(name, None, spec.limits),
        FlushTree(spec.rootfs),
        DefineDomain(name, after),
        *plan_keep(spec),
    )
    return DefinePlan(container, policy, after, steps, given=xml)
