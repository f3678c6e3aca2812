"""The work of `virtsec fleet apply`: many containers, and one change of the policy for all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from virtsec.commands import bases
from virtsec.commands.changing import Changes
from virtsec.commands.definition import check_removable, kept_inits, on_its_base, prepared
from virtsec.commands.facts import gather
from virtsec.commands.find import find_ours
from virtsec.commands.linking import Known, check_new_links, labelled
from virtsec.commands.reaching import with_labels
from virtsec.domain.links import links_of, with_links
from virtsec.domain.metadata import Container, readable
from virtsec.domain.records import DomainRecord
from virtsec.errors import Failed, NotFound, VirtsecError
from virtsec.fleet.difference import BASE, CONTAINER, Action, Difference
from virtsec.fleet.wanted import Fleet
from virtsec.mac.protocol import Policy
from virtsec.mac.steps import LoadPolicies
from virtsec.plans.define import plan_last, plan_making
from virtsec.plans.host import owns_tree, policy_of
from virtsec.plans.offer import Offer
from virtsec.plans.reach import check_exposed_apart, plan_link, plan_unlink, set_traffic
from virtsec.plans.undefine import check_undefine, plan_undefine
from virtsec.rootfs.unfinished import is_gone
from virtsec.shares import dealt, processors, work_through
from virtsec.spec import ContainerSpec, Link, Links
from virtsec.step import Host, Silent, Step, Watcher, execute, shown


@dataclass(frozen=True, slots=True)
class Done:
    """What was done with one container, or one base."""

    action: Action
    kind: str  #: "container" or "base"
    name: str  #: of either


#: By kind and name: what was done, or why it could not be. A base may be called as a container is.
Outcomes = dict[tuple[str, str], Done | VirtsecError]

_Making = tuple[Container, tuple[Step, ...]]  #: one to be made, and how

_PAST = {Action.MAKE: "made", Action.CHANGE: "changed", Action.REMOVE: "removed"}


class Rollout:
    """Does what differs, part by part, and goes on after one container's failure.

    The host's lock is held by whoever asks. `outcomes` is what came of it.
    """

    def __init__(self, host: Host, watch: Watcher | None, parallel: int | None = None) -> None:
        self.outcomes: Outcomes = {}
        self._host, self._watch = host, watch
        self._parallel = parallel or processors()
        self._left: list[str] = []  #: what could not be undone, a sentence each

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Have what ends the work early, such as Ctrl-C, say in its notes what was done before."""
        try:
            yield
        except BaseException as error:
            for note in (*self._told(), *self._left):
                error.add_note(note)
            raise

    def make_bases(self, wanted: Sequence[Difference]) -> None:
        """Make bases that are not there."""
        for each in wanted:
            self._attempt(
                each,
                partial(bases.make_first, each.name, each.source or "", self._host, self._watch),
            )

    def remove(self, names: Sequence[str]) -> None:
        """Undefine containers, with the trees that virtsec made."""
        leaving = []
        for name in names:
            with self._failing(name):
                record, container = find_ours(name, self._host)
                check_undefine(container, record, owns_tree(container.spec))
                if owns_tree(container.spec):
                    check_removable(container.spec)
                leaving.append((container, record))
        for storage in (True, False):
            alike = [each for each in leaving if owns_tree(each[0].spec) is storage]
            if alike:
                self._remove_all(alike, storage)

    def finish(self, names: Sequence[str]) -> None:
        """Do what is left where a definition was cut off when libvirt had the domain."""
        for name in names:
            self._attempt(Difference(Action.MAKE, CONTAINER, name), partial(self._finish_one, name))

    def make(self, specs: Sequence[ContainerSpec]) -> None:
        """Define containers: their policies in one transaction, their trees in parallel.

        They have no links yet: `link` gives them, when all are there.
        """
        with self._failing(*(spec.name for spec in specs)):
            self._make(specs)

    def _make(self, specs: Sequence[ContainerSpec]) -> None:
        facts = gather(self._host)
        known, offer = list(readable(facts.domains)), Offer(facts, self._host.mac)
        making: list[_Making] = []
        policies: list[Policy] = []
        for spec in specs:
            with self._failing(spec.name):
                check_exposed_apart(spec, known)
                exposed = with_labels(spec.exposed, self._host.mac.port_label)
                bare = replace(spec, links=(), exposed=exposed)
                ready = prepared(on_its_base(self._newest(bare)))
                container = offer.identified(ready.spec)
                plan = plan_making(container, facts, self._host.mac, ready.source, ready.fitting)
                policies.append(policy_of(container, self._host.mac))
                making.append((container, plan.steps))
        if not making:
            return
        news = [container for container, _ in making]
        traffic = set_traffic(known, [*known, *news])
        execute((LoadPolicies(tuple(policies)), *traffic), self._host, self._watch)
        try:
            self._make_at_once(making)
        finally:
            self._take_back(known, news)

    def _make_at_once(self, making: Sequence[_Making]) -> None:
        """Make some at a time. Interrupted, no other one is begun, and what is half made undone."""
        shares = dealt(making, self._parallel)
        if len(shares) < 2:
            for each in making:
                self._make_one(each)
            return
        progress = self._host.progress

        def hear(came: tuple[str, Done | VirtsecError]) -> None:
            name, outcome = came
            self.outcomes[CONTAINER, name] = outcome
            progress.advance()

        work_through(
            self._made_apart, shares, hear, shown(progress, "make containers", len(making))
        )
        for container, _ in making:
            missed = Failed(
                f"The process that was to make {container.name} was ended by somebody else.",
                "Apply the file again.",
            )
            self.outcomes.setdefault((CONTAINER, container.name), missed)

    def _made_apart(self, share: Sequence[_Making]) -> Iterator[tuple[str, Done | VirtsecError]]:
        """In a process that was forked for it: make these, and give what came of each."""
        self._host = replace(self._host, libvirt=self._host.libvirt.anew(), progress=Silent())
        for each in share:
            name = each[0].name
            try:
                self._make_one(each)
            except BaseException as error:
                interrupted = Failed(
                    f"{name} was not made: that was interrupted.", "Apply the file again."
                )
                noted = _with_notes(interrupted, error)
                yield name, self.outcomes.get((CONTAINER, name), noted)
                raise
            yield name, self.outcomes[CONTAINER, name]

    def _take_back(self, known: Sequence[Container], news: Sequence[Container]) -> None:
        """Have nothing stay of those of `news` that were not made, nor came to be defined."""
        outcomes = [self.outcomes.get((CONTAINER, each.name)) for each in news]
        if all(isinstance(came, Done) for came in outcomes):
            return
        names = [each.name for each in news]
        try:
            defined = {each.name for each in readable(self._host.libvirt.domains())}
        except VirtsecError as error:
            self._note(names, f"The policy of {', '.join(names)} stays: {error}")
            return
        failed = [name for name in names if name not in defined]
        if not failed:
            return
        there = [each for each in news if each.name in defined]
        traffic = set_traffic([*known, *news], [*known, *there])
        for undo in (
            partial(self._host.mac.unload, failed),
            partial(execute, traffic, self._host, self._watch),
        ):
            try:
                undo()
            except BaseException as error:
                self._note(failed, f"The policy of {', '.join(failed)} may be there still: {error}")
                if not isinstance(error, VirtsecError):
                    raise

    def change(self, wanted: Sequence[Difference]) -> None:
        """Change containers, but for their links; see `Changes` for the order."""
        with self._failing(*(each.name for each in wanted)):
            work = Changes(self._host, self._watch)
            for each in wanted:
                self._attempt(each, partial(work.check, each), last=False)
            self._at_once(wanted, work.narrow)
            left = [each for each in wanted if not self._failed(each)]
            for group in work.together(left):
                with self._failing(*(each.name for each in group)):
                    work.change_parts(group)
            self._at_once(wanted, work.widen)
            for each in wanted:
                self._attempt(each, partial(work.change_rest, each))

    def link(self, fleet: Fleet) -> None:
        """Have the fleet's containers linked as the file asks, those that are there.

        Who cannot be linked as asked keeps the links it has. Of the others all or none: what fails
        is the error of each whose links were to change.
        """
        with self._failing(*(spec.name for spec in fleet.containers if spec.links)):
            records = {each.name: each for each in self._host.libvirt.domains()}
            before = list(readable(records.values()))
            there = {each.name: (records[each.name], each) for each in before}
            have = links_of(before)
            asked: dict[str, tuple[Link, ...]] = {}
            for spec in fleet.containers:
                if spec.name in there:
                    self._note_missing(spec, there)
                    with self._failing(spec.name):
                        asked[spec.name] = self._asked(spec, have.get(spec.name, ()), there)
            changed = [name for name in asked if {*asked[name]} != {*have.get(name, ())}]
            with self._failing(*changed):
                self._link(before, have, asked)

    def _note_missing(self, spec: ContainerSpec, there: Collection[str]) -> None:
        """Have what was done with a container be no success while it lacks one it is to ask."""
        missing = sorted({link.to for link in spec.links} - {*there})
        if missing and not isinstance(self.outcomes.get((CONTAINER, spec.name)), VirtsecError):
            self.outcomes[CONTAINER, spec.name] = Failed(
                f"{spec.name} is not linked to {missing[0]}, which is not there.",
                "Apply the file again when it is.",
            )

    def _link(self, before: Sequence[Container], have: Links, asked: Links) -> None:
        wanted: Links = {**have, **asked}
        more = {name: tuple({*have.get(name, ()), *wanted[name]}) for name in wanted}
        between = with_links(before, more)
        after = with_links(before, wanted)
        mac = self._host.mac
        opened = plan_link(before, between, mac)
        execute((*opened, *plan_unlink(between, after, mac)), self._host, self._watch)

    def _asked(
        self,
        spec: ContainerSpec,
        have: Sequence[Link],
        there: Known,
    ) -> tuple[Link, ...]:
        """The links that are asked for, to who is there: those that are new with their labels.

        Raises `Refused` where a new one cannot be.
        """
        check_new_links(spec, have, there)
        known = {link: link for link in have}
        asked = [link for link in spec.links if link.to in there]
        return tuple(known.get(link) or labelled(link, self._host.mac) for link in asked)

    def _newest(self, spec: ContainerSpec) -> ContainerSpec:
        if spec.base is None:
            return spec
        if isinstance(self.outcomes.get((BASE, spec.base.name)), VirtsecError):
            raise Failed(
                f"{spec.name} was not made, since its base {spec.base.name} was not.",
                "Apply the file again when that is mended.",
            )
        return replace(spec, base=bases.newest_base(spec.base.name))

    def _finish_one(self, name: str) -> None:
        _, container = find_ours(name, self._host)
        if is_gone(container.spec.rootfs):  # or its disk is not mounted, so it is not made anew
            raise NotFound(
                f"The tree of {name}, {container.spec.rootfs}, is not there.",
                "Put it back, or undefine the container and apply the file again.",
            )
        execute(plan_last(container.spec), self._host, self._watch)

    def _make_one(self, making: _Making) -> None:
        container, steps = making
        done = Difference(Action.MAKE, CONTAINER, container.name)
        self._attempt(done, lambda: execute(steps, self._host, self._watch))

    def _remove_all(self, leaving: Sequence[tuple[Container, DomainRecord]], storage: bool) -> None:
        names = [each.name for each, _ in leaving]
        with self._failing(*names):
            containers = list(readable(self._host.libvirt.domains()))
            inits = kept_inits(leaving)
            steps = plan_undefine(leaving, containers, storage, self._host.mac, inits)
            execute(steps, self._host, self._watch)
            for name in names:
                self.outcomes[CONTAINER, name] = Done(Action.REMOVE, CONTAINER, name)

    def _attempt(self, each: Difference, work: Callable[[], object], *, last: bool = True) -> None:
        """Do one thing with one of them; done with it is what was asked after the `last`."""
        if self._failed(each):
            return
        with self._failing(each.name, kind=each.kind):
            work()
            if last:
                self.outcomes[each.kind, each.name] = Done(each.action, each.kind, each.name)

    def _at_once(
        self, wanted: Sequence[Difference], work: Callable[[Sequence[Difference]], object]
    ) -> None:
        """Do a part of the work with all of them; one by one where that fails for all."""
        left = [each for each in wanted if not self._failed(each)]
        notes: Sequence[str] = ()
        if len(left) > 1:
            try:
                work(left)
            except Exception as error:  # told by whom it comes of, of which there is one at least
                notes = getattr(error, "__notes__", ())
            else:
                return
        for each in left:
            self._attempt(each, partial(work, [each]), last=False)
        for note in notes:
            self._note([each.name for each in left], note)

    def _failed(self, each: Difference) -> bool:
        return isinstance(self.outcomes.get((each.kind, each.name)), VirtsecError)

    @contextmanager
    def _failing(self, *names: str, kind: str = CONTAINER) -> Iterator[None]:
        """Have what fails be what came of these; where one failed before, that stays."""
        try:
            yield
        except Exception as error:
            failure = _told_of(error)
            for name in names:
                if not isinstance(self.outcomes.get((kind, name)), VirtsecError):
                    self.outcomes[kind, name] = failure

    def _note(self, names: Sequence[str], sentence: str) -> None:
        """Have it be told that something is left of these."""
        self._left.append(sentence)
        for name in names:
            if isinstance(came := self.outcomes.get((CONTAINER, name)), VirtsecError):
                came.add_note(sentence)

    def _told(self) -> Iterator[str]:
        """What came of each, in sentences."""
        for (kind, name), came in self.outcomes.items():
            if isinstance(came, Done):
                yield f"The {kind} {name} was {_PAST[came.action]}."
            else:
                yield f"{name}: {came.sentence}"
                yield from getattr(came, "__notes__", ())


def _told_of(error: Exception) -> VirtsecError:
    """An error in a sentence, with what was added to it."""
    if isinstance(error, VirtsecError):
        return error
    if isinstance(error, OSError):
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        failed = Failed(f"The system refused: {what}.", "Put it right and apply the file again.")
    else:
        failed = Failed(f"virtsec itself is wrong here: {error!r}.", "Report it.")
    failed.__cause__ = error
    return _with_notes(failed, error)


def _with_notes(failed: Failed, error: BaseException) -> Failed:
    """`failed`, with what was added to the error that it tells of."""
    for note in getattr(error, "__notes__", ()):
        failed.add_note(note)
    return failed
