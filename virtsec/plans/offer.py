"""What is free on a host, given to one new container after another: nobody gets it twice."""

from __future__ import annotations

from virtsec.domain import idrange
from virtsec.domain.checks import check_spec
from virtsec.domain.claims import claims
from virtsec.domain.metadata import Container
from virtsec.mac.protocol import MacModule
from virtsec.plans.host import HostFacts, Roots, choose_ids, name_is_taken, on_network
from virtsec.spec import ContainerSpec, Identity, IdRange


class Offer:
    """Names, roots, addresses, labels and ids that no domain of a host has.

    Made in one pass over the domains; what each container takes is no more work for many than for
    one, so that ten thousand are planned in seconds.
    """

    def __init__(self, facts: HostFacts, mac: MacModule) -> None:
        taken = claims(facts.domains)
        self._facts = facts
        self._names = {record.name for record in facts.domains}
        self._roots = Roots(taken.roots)
        self._addresses = dict(taken.addresses)
        self._labels = mac.labels(taken.labels)
        self._have = list(taken.ids)
        self._free = idrange.free(
            (*taken.ids, *facts.subordinate, *facts.accounts, *facts.trees.values())
        )
        self._given: set[int] = set()

    def identified(self, spec: ContainerSpec) -> Container:
        """What `spec` becomes on this host: with a label and ids that are its own from here on.

        Raises `BadInput`, `NotFound` or `Refused` for what cannot be.
        """
        check_spec(spec)
        if spec.name in self._names:
            raise name_is_taken(spec.name)
        self._roots.check(spec.rootfs)
        spec = on_network(spec, self._facts, self._addresses)
        label = self._labels.give(spec.name, spec.apart_by)
        ids = None if spec.privileged else self._ids(spec)
        self._names.add(spec.name)
        self._roots.add(spec.rootfs, spec.name)
        network = spec.network
        for each in network.addresses:
            self._addresses[network.kind.value, network.source, each.ip] = spec.name
        return Container(spec, Identity(label, ids), self._facts.controller)

    def _ids(self, spec: ContainerSpec) -> IdRange:
        """The lowest free ones; one whose tree was left here may have those that the tree has."""
        if spec.rootfs in self._facts.trees:
            given = (IdRange(start) for start in self._given)
            chosen = choose_ids(spec, self._facts, (*self._have, *given))
        else:
            found = (ids for ids in self._free if ids.start not in self._given)
            chosen = idrange.first(found)
        self._given.add(chosen.start)
        return chosen
