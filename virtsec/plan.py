"""From what was asked for to a list of steps: pure, so that anybody may look before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from virtsec.domain import idrange
from virtsec.domain.checks import check_addresses, check_spec, gateway_on
from virtsec.domain.claims import Claims, claims
from virtsec.domain.metadata import Container
from virtsec.domain.pristine import DropInit, KeepInit
from virtsec.domain.records import DomainRecord, NetworkState
from virtsec.domain.steps import DefineDomain, SetAutostart, UndefineDomain
from virtsec.domain.xml import domain_xml
from virtsec.errors import BadInput, NotFound, Refused
from virtsec.mac.protocol import MacModule, Policy
from virtsec.mac.steps import LoadPolicy, UnloadPolicy
from virtsec.rootfs.steps import LabelTree, RemoveTree, RestTree, plan_keep, plan_root
from virtsec.spec import STORE, ContainerSpec, Identity, IdRange, InitPolicy, NetworkKind
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
    spec: ContainerSpec, facts: HostFacts, mac: MacModule, source: Source | None = None
) -> DefinePlan:
    """Give `spec` what nobody else has and plan its definition.

    `source` is what `inspect_source` found. A definition that is interrupted leaves no domain:
    that comes last, and to define again takes up what is there. Raises `BadInput`, `NotFound` or
    `Refused` for what cannot be.
    """
    check_spec(spec)
    _check_name_is_free(spec.name, facts)
    taken = claims(facts.domains)
    _check_root_is_free(spec.rootfs, taken)
    spec = _on_network(spec, facts, taken)
    identity = Identity(
        mac.label_for(spec.name, taken.labels),
        None if spec.privileged else _choose_ids(spec, facts, taken),
    )
    policy = mac.policy_for(spec, identity.label, identity.ids)
    xml = domain_xml(spec, identity, mac.seclabel(identity.label, facts.models), facts.controller)
    steps: list[Step] = [
        LoadPolicy(policy),
        *plan_root(spec, identity, mac.marks(identity.label), source),
    ]
    if spec.init_policy is InitPolicy.PRISTINE:
        steps.append(KeepInit(spec.name, spec.rootfs, spec.init))
    steps.append(DefineDomain(spec.name, xml))
    if spec.autostart:
        steps.append(SetAutostart(spec.name))
    steps += plan_keep(spec)
    return DefinePlan(Container(spec, identity, facts.controller), policy, xml, tuple(steps))


def plan_undefine(
    container: Container, record: DomainRecord, storage: bool, mac: MacModule
) -> tuple[Step, ...]:
    """Take a stopped container's labels, or with `storage` its tree, its policy and domain away.

    The domain goes last: until then an interrupted `undefine` can be run again. A tree that was
    there before virtsec is never removed. Raises `Refused`.
    """
    _check_stopped(record, "undefined")
    spec, identity = container.spec, container.identity
    if storage and not owns_tree(spec):
        raise Refused(
            f"{spec.rootfs} was there before virtsec, so it is not removed.",
            f"Undefine {spec.name} without --storage and remove the tree yourself.",
        )
    steps: list[Step] = []
    if storage:
        steps.append(RemoveTree(spec.rootfs))
    else:
        marks = mac.marks(identity.label)
        steps.append(RestTree(spec.rootfs, marks, identity.ids, spec.init))
    steps.append(UnloadPolicy(mac.policy_for(spec, identity.label, identity.ids)))
    if spec.init_policy is InitPolicy.PRISTINE:
        steps.append(DropInit(spec.name))
    steps.append(UndefineDomain(record.name, record.xml, record.autostart))
    return tuple(steps)


def plan_label(container: Container, record: DomainRecord, mac: MacModule) -> tuple[Step, ...]:
    """Put a stopped container's labels (and owners) on its tree again; raises `Refused`."""
    _check_stopped(record, "labelled")
    spec, identity = container.spec, container.identity
    return (LabelTree(spec.rootfs, identity.ids, mac.marks(identity.label), spec.init),)


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


def _check_stopped(record: DomainRecord, what: str) -> None:
    if record.active:
        raise Refused(
            f"{record.name} is running, and cannot be {what} meanwhile.",
            f"Run `virtsec shutdown {record.name}`, or `virtsec destroy {record.name}`.",
        )
