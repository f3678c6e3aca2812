"""Limits and parts of a container that is there."""

from __future__ import annotations

from dataclasses import replace

from virtsec.domain.checks import check_spec
from virtsec.domain.claims import claims
from virtsec.domain.document import parse, serialise
from virtsec.domain.limits import fill
from virtsec.domain.metadata import Container
from virtsec.domain.pristine import KeepInit
from virtsec.domain.records import DomainRecord
from virtsec.domain.steps import (
    LimitRunning,
    LimitSlice,
    RedefineDomain,
    SetMetadata,
)
from virtsec.domain.xml import of_other_parts
from virtsec.plans.host import HostFacts, check_stopped, on_network, order, seen
from virtsec.plans.reach import expose
from virtsec.spec import ContainerSpec, Egress, InitPolicy, Limits, NetworkKind
from virtsec.step import Step


def plan_limits(container: Container, record: DomainRecord, limits: Limits) -> tuple[Step, ...]:
    """Limit a container anew: in its definition, and where it runs at once."""
    before = container.spec.limits
    domain = parse(record.xml, f"The definition of {record.name}")
    fill(domain, limits)
    after = replace(container, spec=replace(container.spec, limits=limits))
    check_spec(after.spec)
    steps: list[Step] = [
        *order(record.name, container, after),
        LimitSlice(record.name, before, limits),
        RedefineDomain(record.name, record.xml, serialise(domain)),
        SetMetadata(container, after),
    ]
    if record.active:
        steps.append(LimitRunning(record.name, before, limits, not container.spec.privileged))
    return tuple(steps)


def narrowed(container: Container, wanted: ContainerSpec) -> Container:
    """A container that may ask whom it may still, and exposes what it still does; pure."""
    spec = container.spec
    ports = {each.at for each in wanted.exposed}
    egress = spec.egress
    if spec.network.kind is not NetworkKind.NONE:
        egress = min(egress, wanted.egress, key=[*Egress].index)
    exposed = tuple(each for each in spec.exposed if each.at in ports)
    return replace(container, spec=replace(spec, egress=egress, exposed=exposed))


def plan_parts(
    container: Container,
    record: DomainRecord,
    wanted: ContainerSpec,
    facts: HostFacts,
    kept: bytes | None = None,
) -> tuple[Container, tuple[Step, ...]]:
    """Have a container another network, other mounts or another init from its next start on.

    Its ports at the host lead to another address at once. `kept` is the copy of its init that is
    kept, for what puts that back. Without a network it asks whom `wanted` says, so nobody. Raises
    `BadInput` or `NotFound` for what cannot be, and `Refused` for what cannot be while it runs.
    """
    alone = wanted.network.kind is NetworkKind.NONE
    if alone and container.spec.egress is not Egress.ALL:
        check_stopped(record, "taken off its network")  # which it would ask freely until it stops
    spec = replace(
        container.spec,
        network=wanted.network,
        egress=wanted.egress if alone else container.spec.egress,
        mounts=wanted.mounts,
        init=wanted.init,
        init_args=wanted.init_args,
    )
    check_spec(spec)
    others = claims(each for each in facts.domains if each.name != record.name)
    after = replace(container, spec=on_network(spec, facts, others.addresses))
    xml = of_other_parts(record.xml, container, after)
    steps = (
        *order(record.name, container, after),
        *_keep(container, record, after, kept),
        RedefineDomain(record.name, record.xml, xml),
        *expose(container.spec, after.spec),
    )
    return after, steps


def _keep(
    container: Container, record: DomainRecord, after: Container, kept: bytes | None
) -> tuple[Step, ...]:
    """Keep another init, which the hook would put the former one in the place of."""
    spec = after.spec
    if spec.init_policy is not InitPolicy.PRISTINE or spec.init == container.spec.init:
        return ()
    if spec.base is not None:
        check_stopped(record, "given another init")
    return (seen(spec, KeepInit(spec.name, spec.rootfs, spec.init, before=kept)),)
