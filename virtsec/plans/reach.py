"""Whom containers may ask, and who may ask them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from virtsec.domain.checks import check_spec
from virtsec.domain.described import port
from virtsec.domain.links import traffic_of, with_links
from virtsec.domain.metadata import Container
from virtsec.domain.records import DomainRecord
from virtsec.domain.steps import SetMetadata
from virtsec.errors import BadInput, Refused
from virtsec.host.expose import Expose
from virtsec.mac.protocol import MacModule
from virtsec.mac.steps import ReplacePolicies, SetTraffic
from virtsec.names import port_of
from virtsec.plans.host import policy_of
from virtsec.spec import ContainerSpec, Egress
from virtsec.step import Step


def plan_link(
    before: Sequence[Container], after: Sequence[Container], mac: MacModule
) -> tuple[Step, ...]:
    """Let containers ask for more, from what all are to what those that are left shall be.

    It stands in the metadata before it is open.
    """
    left = {each.name: each for each in after}
    changed = [(one, left[one.name]) for one in before if left.get(one.name, one) != one]
    steps: list[Step] = [SetMetadata(one, other) for one, other in changed]
    policies = [(policy_of(one, mac), policy_of(other, mac)) for one, other in changed]
    differing = [(one, other) for one, other in policies if one != other]
    if differing:
        old, new = zip(*differing, strict=True)
        steps.append(ReplacePolicies(old, new))
    # Those that are not among the others any more are limited for as long as they are there.
    return (*steps, *set_traffic(before, [*going(before, after), *after]))


def plan_unlink(
    before: Sequence[Container], after: Sequence[Container], mac: MacModule
) -> tuple[Step, ...]:
    """Let containers ask for less: it stands in the metadata until it is shut."""
    return tuple(reversed(plan_link(before, after, mac)))


def going(before: Sequence[Container], after: Sequence[Container]) -> list[Container]:
    """Those of `before` that `after` lacks, with no link."""
    stay = {each.name for each in after}
    return with_links([each for each in before if each.name not in stay], {})


def set_traffic(before: Sequence[Container], after: Sequence[Container]) -> tuple[Step, ...]:
    """Have containers' packets reach what `after` may; nothing where that is what they did."""
    have, wanted = traffic_of(before), traffic_of(after)
    return () if have == wanted else (SetTraffic(have, wanted),)


def plan_reach(
    record: DomainRecord,
    container: Container,
    after: Container,
    others: Sequence[Container],
    mac: MacModule,
) -> tuple[Step, ...]:
    """Have a container ask whom it may, and expose what it does, from now on, running or not.

    Raises `BadInput`, and `Refused` where the packet filter would not know it.
    """
    check_reach(record, after.spec, others)
    plan = plan_link if after.spec.egress is Egress.ALL else plan_unlink
    steps = plan([*others, container], [*others, after], mac)
    return (*steps, *expose(container.spec, after.spec))


def check_reach(record: DomainRecord, spec: ContainerSpec, others: Collection[Container]) -> None:
    """Raise `BadInput` or `Refused` for what no container may ask or expose beside `others`."""
    check_spec(spec)
    check_exposed_apart(spec, others)
    if spec.egress is not Egress.ALL:
        check_port(record, "The interface")


def check_port(record: DomainRecord, sentence: str) -> None:
    """Raise `Refused` unless its interface is called on the host as rules call it.

    `sentence` is how that begins, up to whose it is.
    """
    wanted = port_of(record.name)
    if port(record.xml) != wanted:
        raise Refused(
            f"{sentence} of {record.name} has no end on the host called {wanted}.",
            f"Stop it and put `<target dev='{wanted}'/>` into the interface with "
            f"`virsh -c lxc:/// edit {record.name}`.",
        )


def expose(before: ContainerSpec | None, after: ContainerSpec | None) -> tuple[Step, ...]:
    """What a container exposes, and at which address; None where it is not, or no longer, there."""
    have, wanted = (spec if spec and spec.exposed else None for spec in (before, after))
    named = wanted or have
    if named is None or (have and wanted and _leading(have) == _leading(wanted)):
        return ()
    return (Expose(named.name, have, wanted),)


def _leading(spec: ContainerSpec) -> tuple[object, ...]:
    """What its units are made of."""
    return spec.exposed, spec.network.addresses


def check_exposed_apart(spec: ContainerSpec, others: Collection[Container]) -> None:
    """Raise `BadInput` where another container is exposed at the same port of the host."""
    for exposed in spec.exposed:
        for other in others:
            if other.name != spec.name and any(
                each.at == exposed.at for each in other.spec.exposed
            ):
                raise BadInput(
                    f"{other.name} is exposed at port {exposed.at} already.", "Choose another port."
                )
