"""What planning must know of the host, and what every plan asks first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from virtsec.domain import idrange
from virtsec.domain.checks import check_addresses, gateway_on
from virtsec.domain.claims import Place
from virtsec.domain.metadata import Container
from virtsec.domain.orders import KeepOrders, orders
from virtsec.domain.records import DomainRecord, NetworkState
from virtsec.errors import BadInput, NotFound, Refused
from virtsec.mac.protocol import MacModule, Policy
from virtsec.rootfs.layers import InView
from virtsec.spec import (
    STORE,
    ContainerSpec,
    IdRange,
    NetworkKind,
)
from virtsec.step import Step


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


def check_name_is_free(name: str, facts: HostFacts) -> None:
    """Raise `BadInput` where there is a domain of that name."""
    if any(record.name == name for record in facts.domains):
        raise name_is_taken(name)


def name_is_taken(name: str) -> BadInput:
    """What to raise for a name that some domain has."""
    return BadInput(
        f"libvirt has a domain {name} already.",
        f"Choose another name, or see `virtsec info {name}`.",
    )


class Roots:
    """Root directories, none of which may lie in another, with the names of their containers."""

    def __init__(self, roots: Mapping[PurePosixPath, str]) -> None:
        self._at: dict[PurePosixPath, str] = {}
        self._above: dict[PurePosixPath, PurePosixPath] = {}
        for root, name in roots.items():
            self.add(root, name)

    def add(self, root: PurePosixPath, name: str) -> None:
        """Take one in."""
        # A foreign domain may have the host's root as its own; everything is beneath that.
        if root != PurePosixPath("/"):
            self._at[root] = name
            self._above.update(dict.fromkeys(root.parents, root))

    def check(self, rootfs: PurePosixPath) -> None:
        """Raise `Refused` when `rootfs` and one of them are the same, or one is in the other."""
        above = next((each for each in (rootfs, *rootfs.parents) if each in self._at), None)
        root = above or self._above.get(rootfs)
        if root is not None:
            raise Refused(
                f"{rootfs} and the root of {self._at[root]}, {root}: one is within the other.",
                "Choose another --rootfs.",
            )


def choose_ids(spec: ContainerSpec, facts: HostFacts, taken: Iterable[IdRange]) -> IdRange:
    """The lowest free ids; those of a tree that was left where `spec`'s will be count as free."""
    left = (ids for path, ids in facts.trees.items() if path != spec.rootfs)
    return idrange.choose((*taken, *facts.subordinate, *facts.accounts, *left))


def on_network(spec: ContainerSpec, facts: HostFacts, taken: Mapping[Place, str]) -> ContainerSpec:
    """`spec` with the network's own address as gateway, where it has static addresses only."""
    network = spec.network
    if network.kind is NetworkKind.NONE:
        return spec
    for address in network.addresses:
        owner = taken.get((network.kind.value, network.source, address.ip))
        if owner is not None:
            raise BadInput(
                f"{owner} has the address {address.ip} already.", "Choose another address."
            )
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
    if state.bridge is None:
        raise Refused(
            f"The network {network.source} has no bridge of this host's: what containers send is "
            "labelled there.",
            "Choose a network that libvirt routes, translates or bridges.",
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


def seen(spec: ContainerSpec, step: Step) -> Step:
    """A step about a container's tree, done where all of the tree is seen."""
    return step if spec.base is None else InView(spec.rootfs, step)


def owns_tree(spec: ContainerSpec) -> bool:
    """Whether virtsec made the tree: from a source, or (an earlier one left it) in its store."""
    return spec.source is not None or spec.rootfs.is_relative_to(STORE)


def order(name: str, before: Container | None, after: Container | None) -> tuple[Step, ...]:
    """What container `name`'s controller is to do, None where it is not, or no longer, there.

    Nothing where that is what it did.
    """
    have, wanted = ("" if each is None else orders(each) for each in (before, after))
    return () if have == wanted else (KeepOrders(name, have, wanted),)
