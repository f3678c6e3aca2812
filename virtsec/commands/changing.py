"""Containers that are there and are to be otherwise: what a fleet's file asks for, in stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from virtsec.commands.facts import gather
from virtsec.commands.find import find_ours
from virtsec.commands.reaching import with_labels
from virtsec.domain.metadata import Container, readable
from virtsec.domain.pristine import kept
from virtsec.domain.records import DomainRecord
from virtsec.domain.steps import ChangeAutostart
from virtsec.errors import Refused
from virtsec.fleet.difference import Difference, When, as_defined
from virtsec.host.expose import check_free
from virtsec.mac.protocol import MacModule
from virtsec.plans.change import narrowed, plan_limits, plan_parts
from virtsec.plans.moves import together
from virtsec.plans.reach import check_reach, expose, plan_link, plan_unlink, set_traffic
from virtsec.spec import ContainerSpec
from virtsec.step import Host, Step, Watcher, execute

_PARTS = {"network", "mounts", "init", "init_args"}
_REACH = {"egress", "exposed"}


class Changes:
    """What is changed of containers, but for their links; the host's lock is held meanwhile.

    Each stage is done with all of them before the next, since one may be in the way of what another
    gets. Each raises what fails, with a note where something was changed before.
    """

    def __init__(self, host: Host, watch: Watcher | None) -> None:
        self._host, self._watch = host, watch
        self._facts = gather(host)
        #: All there are, as they are by now: rules on packets are about all.
        self._known = {each.name: each for each in readable(self._facts.domains)}
        self._taken = {one.at for each in self._known.values() for one in each.spec.exposed}
        self._begun: set[str] = set()  #: of whom something was changed

    def check(self, wanted: Difference) -> None:
        """Raise what can be told before anything is changed."""
        if rebuilt := [each.field for each in wanted.changes if each.when is When.REBUILD]:
            raise Refused(
                f"{wanted.name} would have to be made anew for another {', '.join(rebuilt)}.",
                f"Run `virtsec undefine {wanted.name} --storage` and apply again, if what is in it "
                "may be lost.",
            )
        exposed = _asked(wanted).exposed
        check_free([each for each in exposed if each.at not in self._taken])

    def narrow(self, wanted: Sequence[Difference]) -> None:
        """Take away what is asked or exposed no longer: of all of them at once, or of none."""
        self._reach(wanted, narrowed, plan_unlink)

    def widen(self, wanted: Sequence[Difference]) -> None:
        """Have them ask and expose what they are to: all of them at once, or none."""

        def asked(container: Container, spec: ContainerSpec) -> Container:
            there = {each.at for each in container.spec.exposed}
            check_free([each for each in spec.exposed if each.at not in there])
            exposed = with_labels(spec.exposed, self._host.mac.port_label)
            return replace(
                container, spec=replace(container.spec, egress=spec.egress, exposed=exposed)
            )

        self._reach(wanted, asked, plan_link)

    def together(self, wanted: Sequence[Difference]) -> list[list[Difference]]:
        """Those that get another network, mounts or init: one has what another one gets, or not."""
        moving = {each.name: each for each in wanted if _fields(each) & _PARTS}
        networks = {name: _asked(each).network for name, each in moving.items()}
        groups = together(self._facts.domains, networks)
        return [[moving[name] for name in group] for group in groups]

    def change_parts(self, group: Sequence[Difference]) -> None:
        """Give them another network, mounts or init, all of them or none."""
        names = {each.name for each in group}
        others = tuple(each for each in self._facts.domains if each.name not in names)
        facts = replace(self._facts, domains=others)
        with self._noting(*names):
            steps: list[Step] = []
            now = dict(self._known)
            for each in group:
                record, container, spec = self._look(each)
                after, more = plan_parts(container, record, spec, facts, kept(record.name))
                steps += more
                now[record.name] = after
            steps += set_traffic([*self._known.values()], [*now.values()])
            self._do(steps, *names)

    def change_rest(self, wanted: Difference) -> None:
        """Change its limits, and whether the host starts it."""
        with self._noting(wanted.name):
            record, container, spec = self._look(wanted)
            if spec.limits != container.spec.limits:
                self._do(plan_limits(container, record, spec.limits), record.name)
            if "autostart" in _fields(wanted):
                self._do((ChangeAutostart(record.name, spec.autostart),), record.name)

    def _reach(
        self,
        wanted: Sequence[Difference],
        change: Callable[[Container, ContainerSpec], Container],
        plan: Callable[[Sequence[Container], Sequence[Container], MacModule], tuple[Step, ...]],
    ) -> None:
        """One change of the policy, and of the rules on packets, for all of them."""
        reaching = [each for each in wanted if _fields(each) & _REACH]
        with self._noting(*(each.name for each in reaching)):
            now = dict(self._known)
            steps: list[Step] = []
            changed: list[str] = []
            for each in reaching:
                record, container, spec = self._look(each)
                after = change(container, spec)
                if after == container:
                    continue
                check_reach(record, after.spec, now.values())
                now[record.name] = after
                steps += expose(container.spec, after.spec)
                changed.append(record.name)
            if changed:
                before = [*self._known.values()]
                self._do((*plan(before, [*now.values()], self._host.mac), *steps), *changed)

    def _look(self, wanted: Difference) -> tuple[DomainRecord, Container, ContainerSpec]:
        """One of them as it is by now, and what it is to be."""
        record, container = find_ours(wanted.name, self._host)
        return record, container, as_defined(_asked(wanted), container.spec)

    def _do(self, steps: Sequence[Step], *names: str) -> None:
        execute(steps, self._host, self._watch)
        self._begun.update(names)
        for name in names:
            self._known[name] = find_ours(name, self._host)[1]

    @contextmanager
    def _noting(self, *names: str) -> Iterator[None]:
        """Have whatever ends this say of whom something was changed already."""
        try:
            yield
        except BaseException as error:
            for name in sorted(self._begun.intersection(names)):
                error.add_note(f"What was changed of {name} before stays so.")
            raise


def _asked(wanted: Difference) -> ContainerSpec:
    assert wanted.spec is not None  # who is to be changed has one
    return wanted.spec


def _fields(wanted: Difference) -> set[str]:
    return {each.field for each in wanted.changes}
