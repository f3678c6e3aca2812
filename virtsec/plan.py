"""From what was asked for to a list of steps: pure, so that anybody may look before it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from virtsec.domain import idrange
from virtsec.domain.adopt import adopted, described, ids_of
from virtsec.domain.checks import check_addresses, check_spec, gateway_on
from virtsec.domain.claims import Claims, claims
from virtsec.domain.document import parse, serialise
from virtsec.domain.limits import fill
from virtsec.domain.links import links_of, traffic_of, with_links
from virtsec.domain.metadata import Container, port, readable
from virtsec.domain.orders import KeepOrders, orders
from virtsec.domain.pristine import DropInit, KeepInit
from virtsec.domain.records import DomainRecord, NetworkState
from virtsec.domain.rename import of_other_name, renamed, with_renamed_links
from virtsec.domain.steps import (
    DefineDomain,
    ForgetSlice,
    LimitRunning,
    LimitSlice,
    RedefineDomain,
    SetAutostart,
    SetMetadata,
    UndefineDomain,
)
from virtsec.domain.xml import domain_xml, of_other_kind, of_other_parts
from virtsec.errors import BadInput, NotFound, Refused
from virtsec.host.expose import Expose
from virtsec.mac.protocol import MacModule, Policy
from virtsec.mac.steps import LoadPolicy, ReplacePolicies, SetTraffic, UnloadPolicies
from virtsec.names import check_name, port_of
from virtsec.rootfs.follow import CarryChanges, RemoveBeside, TakePlace, beside
from virtsec.rootfs.layers import InView, RemoveLayers, lay
from virtsec.rootfs.steps import (
    AdoptTree,
    GiveTree,
    KeepTree,
    LabelTree,
    MakeStore,
    MoveStore,
    Owner,
    ReleaseTree,
    RemoveTree,
    RestTree,
    plan_keep,
    plan_root,
)
from virtsec.spec import (
    STORE,
    ApartBy,
    Base,
    ContainerSpec,
    Egress,
    Identity,
    IdRange,
    InitPolicy,
    Limits,
    NetworkKind,
)
from virtsec.step import Step

if TYPE_CHECKING:
    from virtsec.rootfs.sources import Source


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What planning must know of the host, gathered once."""

    domains: tuple[DomainRecord, ...]
    subordinate: tuple[IdRange, ...]  #: of /etc/subuid and /etc/subgid
    networks: Mapping[str, NetworkState]
    models: frozenset[str]  #: security modules libvirt handles itself
    controller: PurePosixPath
    accounts: tuple[IdRange, ...] = ()  #: the ids of /etc/passwd and /etc/group
    bridges: frozenset[str] = field(default_factory=frozenset)  #: of the host
    #: Owners of the trees in the store, which outlive an `undefine`, by their paths.
    trees: Mapping[PurePosixPath, IdRange] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DefinePlan:
    """What `define` will do, and what comes of it."""

    container: Container
    policy: Policy
    xml: str
    steps: tuple[Step, ...]


def plan_define(
    spec: ContainerSpec,
    facts: HostFacts,
    mac: MacModule,
    source: Source | None = None,
    fitting: Sequence[Step] = (),
) -> DefinePlan:
    """Give `spec` what nobody else has and plan its definition.

    `source` is what `inspect_source` found, `fitting` what is done in the tree. A definition that
    is interrupted leaves no domain: that comes last, and to define again takes up what is there.
    Raises `BadInput`, `NotFound` or `Refused` for what cannot be.
    """
    known = list(readable(facts.domains))
    container = identified(spec, facts, mac, claims(facts.domains))
    check_exposed_apart(container.spec, known)
    policy = policy_of(container, mac)
    making = plan_making(container, facts, mac, source, fitting)
    before = (LoadPolicy(policy), *set_traffic(known, [*known, container]))
    return DefinePlan(container, policy, making.xml, (*before, *making.steps))


def identified(spec: ContainerSpec, facts: HostFacts, mac: MacModule, taken: Claims) -> Container:
    """What `spec` becomes on this host: with a label and ids that nobody has of `taken`.

    Raises `BadInput`, `NotFound` or `Refused` for what cannot be.
    """
    check_spec(spec)
    _check_name_is_free(spec.name, facts)
    _check_root_is_free(spec.rootfs, taken)
    spec = _on_network(spec, facts, taken)
    identity = Identity(
        mac.label_for(spec.name, taken.labels, spec.apart_by),
        None if spec.privileged else _choose_ids(spec, facts, taken),
    )
    return Container(spec, identity, facts.controller)


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
        steps.append(_seen(spec, KeepInit(spec.name, spec.rootfs, spec.init)))
    if wanted := orders(container):
        steps.append(KeepOrders(spec.name, "", wanted))
    steps += [LimitSlice(spec.name, None, spec.limits), DefineDomain(spec.name, xml)]
    steps += _expose(None, spec)
    if spec.autostart:
        steps.append(SetAutostart(spec.name))
    steps += plan_keep(spec)
    return Making(xml, tuple(steps))


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
) -> tuple[Step, ...]:
    """Take containers' labels, or with `storage` their trees, their policies and domains away.

    With them go links from and to them; `containers` are all there are. Domains go last: until then
    an interrupted `undefine` can be run again. Raises as `check_undefine` does.
    """
    left = _without({each.name for each, _ in leaving}, containers)
    steps = list(plan_unlink(containers, left, mac))
    for container, record in leaving:
        check_undefine(container, record, storage)
        spec, identity = container.spec, container.identity
        if storage:
            if spec.base is not None:
                steps.append(RemoveLayers(spec.rootfs))
            steps.append(RemoveTree(spec.rootfs))
        else:
            marks = mac.marks(identity.label)
            steps.append(_seen(spec, RestTree(spec.rootfs, marks, identity.ids, spec.init)))
    steps.append(UnloadPolicies(tuple(policy_of(container, mac) for container, _ in leaving)))
    for container, record in leaving:
        if container.spec.init_policy is InitPolicy.PRISTINE:
            steps.append(DropInit(container.spec.name))
        steps += _expose(container.spec, None)
        if there := orders(container):
            steps.append(KeepOrders(container.name, there, ""))
        steps.append(ForgetSlice(record.name, container.spec.limits))
        steps.append(UndefineDomain(record.name, record.xml, record.autostart))
    steps += set_traffic([*_going(containers, left), *left], left)
    return tuple(steps)


def _without(names: Set[str], containers: Sequence[Container]) -> list[Container]:
    """The other containers, with no link to `names`."""
    links = {
        name: tuple(link for link in asked if link.to not in names)
        for name, asked in links_of(containers).items()
        if name not in names
    }
    return with_links([each for each in containers if each.name not in names], links)


def plan_label(container: Container, record: DomainRecord, mac: MacModule) -> tuple[Step, ...]:
    """Put a stopped container's labels (and owners) on its tree again; raises `Refused`."""
    check_stopped(record, "labelled")
    spec, identity = container.spec, container.identity
    marks = mac.marks(identity.label)
    return (_seen(spec, LabelTree(spec.rootfs, identity.ids, marks, spec.init)),)


def plan_follow(
    container: Container, record: DomainRecord, newest: Base, laid: Base | None, mac: MacModule
) -> tuple[Step, ...]:
    """Move a stopped container to another generation of its base, with all that is its own.

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
            TakePlace(spec.rootfs, target, newest),
        ]
    steps += [SetMetadata(container, after), KeepTree(spec.rootfs, made=True), RemoveBeside(target)]
    return tuple(steps)


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
    ids = None if privileged else _choose_ids(spec, facts, claims(facts.domains))
    after = replace(container, spec=spec, identity=replace(container.identity, ids=ids))
    marks = mac.marks(container.identity.label)
    policies = ReplacePolicies((policy_of(container, mac),), (policy_of(after, mac),))
    owners = Owner(container.identity.ids, marks), Owner(ids, marks)
    steps = (
        _seen(spec, GiveTree(spec.rootfs, *owners, spec.init)),
        RedefineDomain(record.name, record.xml, of_other_kind(record.xml, after)),
    )
    return after, (*steps, policies) if privileged else (policies, *steps)


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
    label = mac.label_for(record.name, others.labels, ApartBy.TYPE)
    seclabel = mac.seclabel(label, facts.models)
    container, after = adopted(record.xml, label, seclabel, facts.controller, remember=True)
    check_spec(container.spec)
    _check_root_is_free(container.spec.rootfs, others)
    owner = Owner(container.identity.ids, mac.marks(label))
    spec = container.spec
    steps: tuple[Step, ...] = (
        LoadPolicy(policy_of(container, mac)),
        AdoptTree(spec.rootfs, owner, spec.init),
        LimitSlice(spec.name, None, spec.limits),
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
    left = _without({record.name}, everybody)
    return (
        *plan_unlink(everybody, left, mac),
        ReleaseTree(spec.rootfs, owner, ids_of(container.before), spec.init),
        *_expose(spec, None),
        *([KeepOrders(record.name, there, "")] if (there := orders(container)) else []),
        ForgetSlice(record.name, spec.limits),
        UnloadPolicies((policy_of(container, mac),)),
        RedefineDomain(record.name, record.xml, container.before),
        *set_traffic([*_going(everybody, left), *left], left),
    )


def plan_from_xml(xml: str, facts: HostFacts, mac: MacModule) -> DefinePlan:
    """Confine what a definition describes that libvirt does not know; its tree is there.

    Raises `BadInput` or `Refused` for one that cannot be.
    """
    name = check_name(described(xml).name)
    _check_name_is_free(name, facts)
    taken = claims(facts.domains)
    label = mac.label_for(name, taken.labels, ApartBy.TYPE)
    seclabel = mac.seclabel(label, facts.models)
    container, after = adopted(xml, label, seclabel, facts.controller, remember=False)
    spec = container.spec
    check_spec(spec)
    _check_root_is_free(spec.rootfs, taken)
    ids = container.identity.ids
    if ids is not None and any(ids.overlaps(each) for each in taken.ids):
        raise BadInput(f"{name} would have ids that another domain has.", "Give it others.")
    policy = policy_of(container, mac)
    steps: tuple[Step, ...] = (
        LoadPolicy(policy),
        *plan_root(spec, container.identity, mac.marks(label)),
        LimitSlice(name, None, spec.limits),
        DefineDomain(name, after),
        *plan_keep(spec),
    )
    return DefinePlan(container, policy, after, steps)


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
        _check_name_is_free(new, facts)
    taken = claims(facts.domains).labels
    if finished is None:
        label = mac.label_for(new, taken, container.spec.apart_by)
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
            MoveStore(own, target),
            _seen(after.spec, GiveTree(after.spec.rootfs, *owners, after.spec.init)),
            LimitSlice(new, None, limits),
            DefineDomain(new, xml),
        ]
    if record.autostart and not (finished and finished.spec.autostart):
        steps.append(SetAutostart(new))
    steps += plan_link(everybody, [*left, after], mac)
    steps += [
        *_expose(container.spec, None),
        *_expose(None, after.spec),
        ForgetSlice(old, limits),
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


def plan_limits(container: Container, record: DomainRecord, limits: Limits) -> tuple[Step, ...]:
    """Limit a container anew: in its definition, and where it runs at once."""
    before = container.spec.limits
    domain = parse(record.xml, f"The definition of {record.name}")
    fill(domain, limits)
    after = replace(container, spec=replace(container.spec, limits=limits))
    check_spec(after.spec)
    steps: list[Step] = [
        *_order(container, after),
        LimitSlice(record.name, before, limits),
        RedefineDomain(record.name, record.xml, serialise(domain)),
        SetMetadata(container, after),
    ]
    if record.active:
        steps.append(LimitRunning(record.name, before, limits, not container.spec.privileged))
    return tuple(steps)


def plan_parts(
    container: Container, record: DomainRecord, wanted: ContainerSpec, facts: HostFacts
) -> tuple[Container, tuple[Step, ...]]:
    """Have a container another network, other mounts or another init from its next start on.

    Raises `BadInput` or `NotFound` for what cannot be.
    """
    spec = replace(
        container.spec,
        network=wanted.network,
        mounts=wanted.mounts,
        init=wanted.init,
        init_args=wanted.init_args,
    )
    check_spec(spec)
    others = claims(each for each in facts.domains if each.name != record.name)
    after = replace(container, spec=_on_network(spec, facts, others))
    xml = of_other_parts(record.xml, container, after)
    steps = (*_order(container, after), RedefineDomain(record.name, record.xml, xml))
    return after, steps


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
    return (*steps, *set_traffic(before, [*_going(before, after), *after]))


def _going(before: Sequence[Container], after: Sequence[Container]) -> list[Container]:
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
    check_spec(after.spec)
    check_exposed_apart(after.spec, others)
    egress = after.spec.egress
    if egress is not Egress.ALL and (wanted := port_of(record.name)) != port(record.xml):
        raise Refused(
            f"The interface of {record.name} has no end on the host called {wanted}.",
            f"Stop it and put `<target dev='{wanted}'/>` into the interface with "
            f"`virsh edit {record.name}`.",
        )
    plan = plan_link if egress is Egress.ALL else plan_unlink
    steps = plan([*others, container], [*others, after], mac)
    return (*steps, *_expose(container.spec, after.spec))


def _order(before: Container, after: Container) -> tuple[Step, ...]:
    """What a container's controller is to do; nothing where that is what it did."""
    have, wanted = orders(before), orders(after)
    return () if have == wanted else (KeepOrders(after.name, have, wanted),)


def _expose(before: ContainerSpec | None, after: ContainerSpec | None) -> tuple[Step, ...]:
    """What a container exposes; None where it is not, or no longer, called so."""
    have, wanted = (spec if spec and spec.exposed else None for spec in (before, after))
    named = wanted or have
    if named is None or (have and wanted and have.exposed == wanted.exposed):
        return ()
    return (Expose(named.name, have, wanted),)


def check_exposed_apart(spec: ContainerSpec, others: Sequence[Container]) -> None:
    """Raise `BadInput` where another container is exposed at the same port of the host."""
    for exposed in spec.exposed:
        for other in others:
            if other.name != spec.name and any(
                each.at == exposed.at for each in other.spec.exposed
            ):
                raise BadInput(
                    f"{other.name} is exposed at port {exposed.at} already.", "Choose another."
                )


def plan_unlink(
    before: Sequence[Container], after: Sequence[Container], mac: MacModule
) -> tuple[Step, ...]:
    """Let containers ask for less: it stands in the metadata until it is shut."""
    return tuple(reversed(plan_link(before, after, mac)))


def _seen(spec: ContainerSpec, step: Step) -> Step:
    """A step about a container's tree, done where all of the tree is seen."""
    return step if spec.base is None else InView(spec.rootfs, step)


def owns_tree(spec: ContainerSpec) -> bool:
    """Whether virtsec made the tree: from a source, or (an earlier one left it) in its store."""
    return spec.source is not None or spec.rootfs.is_relative_to(STORE)


def _check_name_is_free(name: str, facts: HostFacts) -> None:
    if any(record.name == name for record in facts.domains):
        raise BadInput(
            f"libvirt has a domain {name} already.",
            f"Choose another name, or see `virtsec info {name}`.",
        )


def _check_root_is_free(rootfs: PurePosixPath, taken: Claims) -> None:
    for root, name in taken.roots.items():
        # A foreign domain may have the host's root as its own; everything is beneath that.
        if root != PurePosixPath("/") and (
            rootfs.is_relative_to(root) or root.is_relative_to(rootfs)
        ):
            raise Refused(
                f"{rootfs} and the root of {name}, {root}, lie in each other.",
                "Choose another --rootfs.",
            )


def _choose_ids(spec: ContainerSpec, facts: HostFacts, taken: Claims) -> IdRange:
    left = (ids for path, ids in facts.trees.items() if path != spec.rootfs)
    return idrange.choose((*taken.ids, *facts.subordinate, *facts.accounts, *left))


def _on_network(spec: ContainerSpec, facts: HostFacts, taken: Claims) -> ContainerSpec:
    """`spec` with the network's own address as gateway, where it has static addresses only."""
    network = spec.network
    if network.kind is NetworkKind.NONE:
        return spec
    for address in network.addresses:
        owner = taken.addresses.get((network.kind.value, network.source, address.ip))
        if owner is not None:
            raise BadInput(f"{owner} has the address {address.ip} already.", "Choose another.")
    if network.kind is NetworkKind.BRIDGE:
        if network.source not in facts.bridges:
            raise NotFound(
                f"There is no bridge {network.source} on this host.",
                "See `ip link show type bridge`.",
            )
        return spec
    state = facts.networks.get(network.source)
    if state is None:
        raise NotFound(
            f"libvirt has no network {network.source}.",
            "Run `virtsec setup` for the network 'default', or see `virsh net-list --all`.",
        )
    check_addresses(network, state.addresses, f"network {network.source}")
    gateway = network.gateway or gateway_on(network.addresses, state.addresses)
    return replace(spec, network=replace(network, gateway=gateway))


def policy_of(container: Container, mac: MacModule) -> Policy:
    """The policy of this version for a container."""
    return mac.policy_for(container.spec, container.identity.label, container.identity.ids)


def check_stopped(record: DomainRecord, what: str) -> None:
    """Raise `Refused` while a container runs; `what` it cannot be meanwhile."""
    if record.active:
        raise Refused(
            f"{record.name} is running, and cannot be {what} meanwhile.",
            f"Run `virtsec shutdown {record.name}`, or `virtsec destroy {record.name}`.",
        )
