"""Attack by attack: what was said inside, what was seen outside, and what follows."""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from virtsec.attacks.actor import ATTACK, BAIT, Part
from virtsec.attacks.disk import disk_below
from virtsec.attacks.probe import Aim, Defence, Position, Probe, Targets
from virtsec.attacks.proven import refused_by
from virtsec.attacks.tree import Nodes, Tree
from virtsec.enter.door import Target, opened
from virtsec.errors import Failed
from virtsec.runtime.order import MESSAGE
from virtsec.runtime.view import group_of

ACTOR = "virtsec.attacks.actor"
ALL = frozenset(Defence) - {Defence.NETWORK}
_PATIENCE = 120.0  # seconds until an actor that says nothing is given up
_DEVICES = {
    "mem": "/dev/mem",
    "port": "/dev/port",
    "kmsg": "/dev/kmsg",
    "fuse": "/dev/fuse",
    "loop-control": "/dev/loop-control",
    "tun": "/dev/net/tun",
    "hwrng": "/dev/hwrng",
    "tty0": "/dev/tty0",
}


class Verdict(StrEnum):
    """What an attack shows."""

    HELD = "held"  #: refused, as it must be
    BROKEN = "broken"  #: it succeeded
    NOT_APPLICABLE = "not applicable"  #: this container or this host has nothing to attack so
    NOT_PROVEN = "not proven"  #: refused, but nobody has seen it succeed anywhere
    UNCLEAR = "unclear"  #: the attack itself went wrong


@dataclass(frozen=True, slots=True)
class Result:
    """One attack, and how it ended."""

    id: str  #: what `--only` takes
    group: str  #: that it is one of
    sentence: str  #: what it tries, after "tries to"
    promise: str  #: what holds when it is refused
    see: str  #: where to read of it
    position: Position
    verdict: Verdict
    evidence: str  #: what was said inside and seen outside
    refused_by: Defence | None  #: which defence in force the kernel asks first
    alone: tuple[Defence, ...]  #: those that would refuse it on their own


@dataclass(frozen=True, slots=True)
class Side:
    """A container as proof needs to know it."""

    name: str
    target: Target
    marks: Mapping[str, bytes]  #: attributes of its files
    file_label: str
    uid: int  #: the host's id of its root
    linked: frozenset[int] = frozenset()  #: ports that links lead to, where no bait may listen


@dataclass(frozen=True, slots=True)
class HostSide:
    """What of the host is protected."""

    marks: Mapping[str, bytes]  #: attributes of a key file
    file_label: str
    process_label: str


class Actor:
    """One process that plays a part, and the socket to it."""

    def __init__(self, channel: socket.socket, name: str) -> None:
        self._channel, self._name = channel, name
        channel.settimeout(_PATIENCE)

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Its answer. Raises `Failed`."""
        try:
            self._channel.send(json.dumps(question).encode())
            return self.hear()[0]
        except BrokenPipeError:
            raise Failed(
                f"{self._name} stopped while it was verified.",
                "Start it again, and see `virtsec logs`.",
            ) from None

    def hear(self) -> tuple[dict[str, Any], list[int]]:
        """What it says, with descriptors. Raises `Failed`."""
        try:
            content, descriptors, _, _ = socket.recv_fds(self._channel, MESSAGE, 4)
        except ConnectionResetError:
            content, descriptors = b"", []
        except TimeoutError:
            raise Failed(
                f"Nothing came from {self._name} for {_PATIENCE:.0f} s.",
                "Run `virtsec verify` again.",
            ) from None
        if not content:
            raise Failed(
                f"{self._name} stopped while it was verified.",
                "Start it again, and see `virtsec logs`.",
            )
        said = json.loads(content)
        if "stopped" in said:
            why = str(said["stopped"]).removesuffix(".")
            raise Failed(f"{self._name} could not be attacked: {why}.")
        return said, descriptors


class Stage:
    """Everything that attacks and is attacked, for as long as it is open."""

    def __init__(
        self, victim: HostSide, container: Side, other: Side | None, defences: frozenset[Defence]
    ) -> None:
        self._host, self._container, self._other = victim, container, other
        self._defences = defences
        self._stack = ExitStack()
        self._trees: list[tuple[str, Tree]] = []
        self._baits: list[tuple[str, Actor, dict[str, Any]]] = []
        self._attackers: dict[Position, Actor] = {}

    def __enter__(self) -> Stage:
        try:
            self._set()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def attack(self, probe: Probe) -> tuple[dict[str, str], list[str]]:
        """What was said of it inside, and what was seen of it outside."""
        said = self._attackers[probe.position].ask({"probe": probe.id})
        seen = [f"{who}: {what}" for who, tree in self._trees for what in tree.seen()]
        for index, (who, bait, before) in enumerate(self._baits):
            now = bait.ask({})
            seen += [
                f"{who}: {what}: {now.get(what)}" for what in now if now[what] != before.get(what)
            ]
            self._baits[index] = (who, bait, now)
        return said, seen

    def _set(self) -> None:
        model = self._container.target.model
        host_aim = self._lay_host()
        other_aim = None if self._other is None else self._lay_other(self._other)
        disk = disk_below("/")
        paths = _DEVICES if disk is None else {"disk": disk, **_DEVICES}
        nodes = Nodes(paths, self._host.marks)
        self._stack.callback(nodes.close)
        places = {
            name: self._hold(os.open(path, os.O_PATH | os.O_CLOEXEC))
            for name, path in (
                ("sys", "/proc/sys"), ("proc", "/proc"), ("sysfs", "/sys"), ("run", "/run"),
            )
        }  # fmt: skip
        targets = Targets(
            model,
            self._container.file_label,
            host_aim,
            other_aim,
            group_of(self._container.name),
            nodes.descriptors,
            **places,
        )
        kept = [*nodes.descriptors.values(), *places.values()]
        for aim in (host_aim, other_aim):
            if aim is not None:
                kept += [aim.tree, aim.mount, aim.pidfd, aim.proc, aim.pty]
        for position in Position:
            self._attackers[position] = self._actor(
                self._container, self._of(position), ATTACK, asdict(targets), kept
            )

    def _of(self, position: Position) -> frozenset[Defence]:
        inside = position is Position.INSIDE
        return self._defences if inside else self._defences - {Defence.NAMESPACES}

    def _lay_host(self) -> Aim:
        tree = self._tree("the host", self._host.marks)
        content = {
            "uid": self._container.uid,
            "addresses": ["127.0.0.1"],
            "makes": ["tasks", "sockets", "pty", "memory", "servers"],
        }
        told = self._bait("the host", self._container, frozenset(), tree, content)
        told["stranger"] = os.getpid()
        labels = (self._host.file_label, self._host.process_label)
        return self._aim("the host", tree, told, labels)

    def _lay_other(self, other: Side) -> Aim:
        """Partly outside of its namespaces, where what escaped from the first one would be."""
        tree = self._tree(other.name, other.marks)
        content: dict[str, Any] = {
            "uid": 0,
            "addresses": [],
            "makes": ["tasks", "sockets", "memory"],
        }
        outside = self._bait(other.name, other, ALL - {Defence.NAMESPACES}, tree, content)
        content |= {"makes": ["pty", "servers"], "linked": sorted(other.linked)}
        inside = self._bait(other.name, other, ALL, tree, content)
        labels = (other.file_label, other.target.label)
        told = {**inside, **outside, "stranger": outside["task"]}
        return self._aim(other.name, tree, told, labels)

    def _tree(self, who: str, marks: Mapping[str, bytes]) -> Tree:
        tree = Tree(marks, self._container.uid)
        self._stack.callback(tree.close)
        self._trees.append((who, tree))
        return tree

    def _bait(
        self,
        who: str,
        side: Side,
        defences: frozenset[Defence],
        tree: Tree,
        content: dict[str, Any],
    ) -> dict[str, Any]:
        abstract = f"virtsec-verify-{secrets.token_hex(8)}"
        full = {**content, "tree": tree.descriptor, "secret": tree.secret, "abstract": abstract}
        actor = self._actor(side, defences, BAIT, full, [tree.descriptor])
        told, descriptors = actor.hear()
        if descriptors:
            told["pty"] = self._hold(descriptors[0])
        if "sockets" in content["makes"]:
            tree.mark("socket")
        self._baits.append((who, actor, actor.ask({})))
        return {**told, "abstract": abstract}

    def _aim(self, who: str, tree: Tree, told: dict[str, Any], labels: tuple[str, str]) -> Aim:
        task = told["task"]
        return Aim(
            who=who,
            tree=tree.descriptor,
            mount=self._hold(tree.opened()),
            handle=tree.handle,
            task=task,
            victim=told["victim"],
            stranger=told["stranger"],
            pidfd=self._hold(os.pidfd_open(task)),
            proc=self._hold(os.open(f"/proc/{task}", os.O_PATH | os.O_CLOEXEC)),
            secret=tree.secret,
            address=told["address"],
            descriptor=told["descriptor"],
            pty=told["pty"],
            abstract=told["abstract"],
            shm=told["shm"],
            tcp=tuple((host, port) for host, port in told["tcp"]),
            udp=tuple((host, port) for host, port in told["udp"]),
            silent=tuple((host, port) for host, port in told["silent"]),
            file_label=labels[0],
            process_label=labels[1],
        )

    def _actor(
        self,
        side: Side,
        defences: frozenset[Defence],
        role: str,
        content: dict[str, Any],
        kept: Sequence[int],
    ) -> Actor:
        part = Part(
            side.target.init,
            side.target.started,
            side.target.model,
            side.target.label,
            tuple(sorted(defences)),
            role,
            tuple(kept),
            content,
        )
        message = json.dumps(asdict(part)).encode()
        channel = self._stack.enter_context(opened(side.target, message, ACTOR, kept))
        actor = Actor(channel, side.name)
        actor.hear()
        return actor

    def _hold(self, descriptor: int) -> int:
        self._stack.callback(os.close, descriptor)
        return descriptor


@contextmanager
def stage(
    victim: HostSide, container: Side, other: Side | None, defences: frozenset[Defence] = ALL
) -> Iterator[Callable[[Probe], tuple[dict[str, str], list[str]]]]:
    """What carries out an attack; see `Stage.attack`. Raises `Failed` and `OSError`."""
    with Stage(victim, container, other, defences) as made:
        yield made.attack


def judge(
    probe: Probe,
    said: Mapping[str, str],
    seen: Sequence[str],
    active: Collection[Defence],
    alone: Sequence[Defence] | None,
) -> Result:
    """What an attack shows; pure.

    `active` are the defences in force where it began, `alone` those proven to refuse it on their
    own, None when it is not proven to succeed without any. What is seen stands above what is said.
    """
    verdict, evidence = Verdict.UNCLEAR, said.get("failed", "")
    if "not applicable" in said:
        verdict, evidence = Verdict.NOT_APPLICABLE, said["not applicable"]
    elif "refused" in said:
        verdict = Verdict.HELD if alone is not None else Verdict.NOT_PROVEN
        evidence = f"{said['refused']}: {said['why']}"
    elif "got" in said:
        verdict, evidence = Verdict.BROKEN, said["got"]
    if seen:
        verdict, evidence = Verdict.BROKEN, "; ".join([*filter(None, [evidence]), *seen])
    by = refused_by(alone or (), active) if verdict is Verdict.HELD else None
    return Result(
        probe.id,
        probe.group,
        probe.sentence,
        probe.promise,
        probe.see,
        probe.position,
        verdict,
        evidence,
        by,
        tuple(alone or ()),
    )
