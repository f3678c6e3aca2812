"""A container's tree labelled anew, shifted, or moved to another base."""

from __future__ import annotations

from dataclasses import replace

from virtsec.domain.checks import check_spec
from virtsec.domain.claims import claims
from virtsec.domain.metadata import Container
from virtsec.domain.records import DomainRecord
from virtsec.domain.steps import RedefineDomain, SetMetadata
from virtsec.domain.xml import of_other_kind
from virtsec.mac.protocol import MacModule
from virtsec.mac.steps import ReplacePolicies
from virtsec.plans.host import HostFacts, check_stopped, choose_ids, policy_of, seen
from virtsec.rootfs.follow import CarryChanges, RemoveBeside, TakePlace, beside
from virtsec.rootfs.layers import InView, lay
from virtsec.rootfs.owners import GiveTree, LabelTree, Owner
from virtsec.rootfs.steps import FlushTree, KeepTree, MakeStore
from virtsec.spec import Base
from virtsec.step import Step


def plan_label(container: Container, record: DomainRecord, mac: MacModule) -> tuple[Step, ...]:
    """Put a stopped container's labels (and owners) on its tree again; raises `Refused`."""
    check_stopped(record, "labelled")
    spec, identity = container.spec, container.identity
    marks = mac.marks(identity.label)
    return (seen(spec, LabelTree(spec.rootfs, identity.ids, marks, spec.init)),)


def plan_follow(
    container: Container, record: DomainRecord, newest: Base, laid: Base | None, mac: MacModule
) -> tuple[Step, ...]:
    """Move a stopped container to another generation of its base, with all that is its own.

    What its layer was stands beside it then, to be removed once nothing is taken back any more.
    `laid` is what its layer is on already: another than its definition says, where an earlier run
    was killed between the two. Raises `Refused`.
    """
    check_stopped(record, "moved")
    spec, identity = container.spec, container.identity
    assert spec.base is not None
    target = beside(spec.name)
    after = replace(container, spec=replace(spec, base=newest))
    steps: list[Step] = []
    if laid != newest:
        marks = mac.marks(identity.label)
        label = LabelTree(target, identity.ids, marks, spec.init)
        steps += [
            RemoveBeside(target),
            MakeStore(target, identity.ids),
            *lay(target, newest, label, scratch=spec.scratch),
            CarryChanges(spec.rootfs, target, spec.base, identity.ids),
            InView(target, label),
            FlushTree(target),
            TakePlace(spec.rootfs, target, newest),
        ]
    return (*steps, SetMetadata(container, after), KeepTree(spec.rootfs, made=True))


def plan_kind(
    container: Container,
    record: DomainRecord,
    facts: HostFacts,
    mac: MacModule,
    *,
    privileged: bool,
) -> tuple[Container, tuple[Step, ...]]:
    """What a stopped container is as the other kind, and the steps there.

    A walk that is interrupted is taken up by running the command again, or turned back by `virtsec
    label`. Its policy allows more only once its definition says why, and less from the first.
    Raises `Refused`.
    """
    check_stopped(record, "shifted")
    spec = replace(container.spec, privileged=privileged)
    check_spec(spec)
    ids = None if privileged else choose_ids(spec, facts, claims(facts.domains).ids)
    after = replace(container, spec=spec, identity=replace(container.identity, ids=ids))
    marks = mac.marks(container.identity.label)
    policies = ReplacePolicies((policy_of(container, mac),), (policy_of(after, mac),))
    owners = Owner(container.identity.ids, marks), Owner(ids, marks)
    steps = (
        seen(spec, GiveTree(spec.rootfs, *owners, spec.init)),
        FlushTree(spec.rootfs),
        RedefineDomain(record.name, record.xml, of_other_kind(record.xml, after)),
    )
    return after, (*steps, policies) if privileged else (policies, *steps)
