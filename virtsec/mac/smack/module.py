"""`MacModule` for Smack."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from virtsec.errors import BadInput, PolicyFailed, VirtsecError
from virtsec.kernel import xattrs
from virtsec.mac.denial import Weighed
from virtsec.mac.install import failing
from virtsec.mac.packets import steps as packets
from virtsec.mac.packets.traffic import in_force as traffic_in_force
from virtsec.mac.protocol import Enforcement, Policy, TreeMarks
from virtsec.mac.records import records
from virtsec.mac.smack import denials, protect, setup
from virtsec.mac.smack.kernel import process_label
from virtsec.mac.smack.policy import BASE, container_policy, text
from virtsec.mac.smack.reach import SmackReach
from virtsec.mac.smack.rule import (
    ATTRIBUTE,
    FLOOR,
    HOST,
    MODEL,
    REST,
    TRANSMUTE,
    Rule,
    check_label,
    parse,
)
from virtsec.mac.smack.setup import Place
from virtsec.mac.smack.store import Store, kept_as
from virtsec.mac.steps import UnloadPolicies
from virtsec.spec import ApartBy, ContainerSpec, IdRange, Label, Traffic, Transport
from virtsec.step import Step

_SMACKFS = Path("/sys/fs/smackfs")


class Smack:
    """Smack as this host runs it; see `virtsec.mac.protocol.MacModule` for each method."""

    model = MODEL

    def __init__(self, place: Place | None = None) -> None:
        self._place = place or Place()
        self._kernel = self._place.smackfs
        self._store = Store(self._place.root)

    def enforcement(self) -> Enforcement:
        """See the protocol."""
        return Enforcement.PERMISSIVE if self._kernel.unconfined() else Enforcement.ENFORCING

    def ready(self) -> str | None:
        """See the protocol."""
        if rules := setup.missing_rules(self._place):
            return f"Smack rule '{rules[0]}' not loaded"
        # What is watched is the administrator's to say: the next `protect` sees to that.
        watching = self._place.unit(setup.CHANGES)
        own = [each for each in setup.missing_files(self._place)
               if each != watching or not watching.exists()]  # fmt: skip
        if files := own or packets.missing(self._place.root, setup.PACKETS):
            return f"{files[0]} not installed or out of date"
        return None

    def labels(self, taken: Iterable[str]) -> SmackLabels:
        """See the protocol."""
        rules = self._kernel.rules()
        uses = {word for rule in rules for word in (rule.subject, rule.object)}
        return SmackLabels({*taken, *(uses - set(self._store.containers()))})

    def policy_for(self, spec: ContainerSpec, label: Label, ids: IdRange | None) -> Policy:
        """See the protocol."""
        del label, ids  # the same rules for either kind: root inside is no more to Smack
        return container_policy(spec.name, spec.additions)

    def load(self, policies: Sequence[Policy]) -> None:
        """See the protocol."""
        before = self._store.containers()
        begun: list[str] = []
        try:
            for each in policies:
                begun.append(each.name)
                self._load(each, before.get(each.name, ""))
        except BaseException as error:
            for name in reversed(begun):
                try:
                    self._put_back(name, before.get(name))
                except VirtsecError as left:
                    error.add_note(f"Could not put the rules of {name} back: {left}")
            raise

    def unload(self, names: Collection[str]) -> None:
        """See the protocol."""
        known = self._store.containers()
        for name in names:
            if name in known:
                self._revoke(name, known[name])
                self._store.forget(name)

    def loaded(self) -> Mapping[str, str]:
        """See the protocol."""
        return {
            name: text
            for name, text in self._store.containers().items()
            if all(self._kernel.allows(rule) for rule in parse(text, f"the rules of {name}"))
        }

    def texts(self, own: Policy) -> Mapping[str, str]:
        """See the protocol."""
        return {BASE: text("virtsec.rules"), kept_as(own.name): own.text}

    def texts_in_force(self, own: Policy) -> Mapping[str, str]:
        """See the protocol. A rule that is kept for the next boot and not loaded is left out."""
        found = {}
        for name in self.texts(own):
            kept = self._store.read(name)
            if kept is not None:
                found[name] = "".join(filter(self._holds, kept.splitlines(keepends=True)))
        return found

    def marks(self, label: Label) -> TreeMarks:
        """See the protocol."""
        file = {ATTRIBUTE: label.file.encode()}
        return TreeMarks(
            files=file,
            directories={**file, TRANSMUTE: b"TRUE"},
            init={ATTRIBUTE: label.init.encode()},
            rest={ATTRIBUTE: REST.encode(), TRANSMUTE: None},
        )

    def base_marks(self) -> TreeMarks:
        """See the protocol. That nobody may use it holds for the tree of a base as well."""
        mark = {ATTRIBUTE: REST.encode()}
        return TreeMarks(mark, {**mark, TRANSMUTE: b"TRUE"}, mark, mark)

    def birth(self, marks: TreeMarks) -> Callable[[], None]:
        """See the protocol. The directory hands its label down to what the host's root makes."""
        assert marks.directories[TRANSMUTE] == b"TRUE"
        return lambda: None

    def secret_marks(self) -> Mapping[str, bytes]:
        """See the protocol."""
        return {ATTRIBUTE: HOST.encode()}

    def file_label(self, path: PurePosixPath) -> str | None:
        """See the protocol."""
        try:
            return os.getxattr(path, ATTRIBUTE, follow_symlinks=False).decode()
        except OSError:
            return None

    def process_label(self, pid: int) -> str | None:
        """See the protocol."""
        return process_label(pid)

    def seclabel(self, label: Label, models: Collection[str]) -> Mapping[str, str] | None:
        """See the protocol."""
        if MODEL not in models:
            return None  # stock libvirt has no driver for Smack; the controller sets the label
        return {"type": "static", "model": MODEL, "relabel": "yes", "label": label.process}

    def protect(self, *, check: bool) -> Sequence[PurePosixPath]:
        """See the protocol."""
        found = protect.protect(self._place, check=check)
        if not check:
            setup.watch(self._place)
        return [PurePosixPath(path) for path in found]

    def overlaps(self, process: str, label: Label) -> bool:
        """See the protocol."""
        return process == label.process

    def reach(self, labels: Collection[Label]) -> SmackReach:
        """See the protocol."""
        mine = [label.process for label in labels]
        return SmackReach(self._kernel, mine, packets=packets.in_force())

    def port_label(self, port: int, protocol: Transport) -> str:
        """See the protocol. Smack has none."""
        del port, protocol
        return ""

    def let_through(self, traffic: Traffic) -> None:
        """See the protocol."""
        packets.let_through(traffic, self._place.root, self.restore)

    def lets_through(self, traffic: Traffic) -> bool:
        """See the protocol."""
        return traffic_in_force(traffic, self._place.root)

    def refused(
        self, label: Label, containers: Collection[str], since: datetime.datetime | None
    ) -> Sequence[Weighed]:
        """See the protocol."""
        found = list(denials.denials(records(since), label.process))
        return denials.weigh(label.process, found, containers)

    def restore(self, paths: Sequence[PurePosixPath]) -> None:
        """See the protocol."""
        for path, label in self._astray(paths):
            with failing(Path(path)):
                xattrs.put(str(path), ATTRIBUTE, label.encode())

    def mislabelled(self, paths: Sequence[PurePosixPath]) -> Sequence[PurePosixPath]:
        """See the protocol."""
        own = [PurePosixPath(path) for path in self._place.files()]
        packet = packets.paths(self._place.root, setup.PACKETS)
        return [path for path, _ in self._astray([*paths, *own, *packet])]

    def setup_steps(self, traffic: Traffic) -> Sequence[Step]:
        """See the protocol."""
        return setup.setup_steps(self._place, traffic)

    def remove_steps(self) -> Sequence[Step]:
        """See the protocol."""
        steps = setup.remove_steps(self._place)
        left = tuple(Policy(name, text) for name, text in self._store.containers().items())
        return [UnloadPolicies(left), *steps] if left else steps

    def _astray(self, paths: Sequence[PurePosixPath]) -> Iterator[tuple[PurePosixPath, str]]:
        """Those that have not the label that they should, with that."""
        listed = {entry.pattern for entry in self._place.entries()}
        for path in paths:
            if not os.path.lexists(path):
                continue
            # What is listed in host-files.conf hands its label down to what is made in it.
            secret = str(path) in listed or self.file_label(path.parent) == HOST
            label = HOST if secret else FLOOR
            if self.file_label(path) != label:
                yield path, label

    def _holds(self, line: str) -> bool:
        """Whether a line of a file of rules is loaded, or is no rule."""
        return all(map(self._kernel.allows, parse(line, "a file of rules")))

    def _load(self, policy: Policy, before: str) -> None:
        rules = parse(policy.text, f"the rules of {policy.name}")
        about = {(rule.subject, rule.object) for rule in rules}
        self._store.keep(policy.name, policy.text)
        with failing(_SMACKFS):
            for rule in parse(before, f"the rules of {policy.name}"):
                if (rule.subject, rule.object) not in about:
                    self._kernel.load(Rule(rule.subject, rule.object, "-"))
            for rule in rules:
                self._kernel.load(rule)
            for rule in rules:
                if not self._kernel.allows(rule):
                    raise PolicyFailed(
                        f"The kernel did not take the rule '{rule}'.", "See `dmesg`."
                    )
            for letter in "wa":
                if self._kernel.allows(Rule(policy.name, FLOOR, letter)):
                    raise PolicyFailed(
                        f"A rule of this host lets {policy.name} write to what is labelled _.",
                        "Take it out of /etc/smack/accesses.d.",
                    )

    def _put_back(self, name: str, text: str | None) -> None:
        self._revoke(name, container_policy(name).text)
        if text is None:
            self._store.forget(name)
            return
        self._store.keep(name, text)
        with failing(_SMACKFS):
            for rule in parse(text, f"the rules of {name}"):
                self._kernel.load(rule)

    def _revoke(self, name: str, text: str) -> None:
        with failing(_SMACKFS):
            self._kernel.revoke(name)
            for rule in parse(text, f"the rules of {name}"):
                self._kernel.load(Rule(rule.subject, rule.object, "-"))


class SmackLabels:
    """Gives the container's name. One's own costs nothing, so nobody has to share one."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = taken

    def give(self, name: str, apart_by: ApartBy) -> Label:
        """See the protocol."""
        del apart_by
        check_label(name)
        if name in self._taken:
            raise BadInput(
                f"The Smack label {name} is in use on this host, "
                f"so no container can be called {name!r}.",
                f"Choose another name, such as '{name}1'.",
            )
        self._taken.add(name)
        return Label(MODEL, name, name, name)
