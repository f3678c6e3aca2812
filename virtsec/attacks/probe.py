"""An attack, and what it is given. Standard library only: this goes into the container."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Position(StrEnum):
    """Where an attack begins."""

    INSIDE = "inside"  #: a process of the container's, which holds descriptors leaked by the host
    #: The same process had it got out of every namespace but the user's: its ids, capabilities,
    #: filter of system calls, control group and label still hold.
    ESCAPED = "escaped"


class Defence(StrEnum):
    """What refuses an attack, in the order the kernel comes to ask them."""

    SECCOMP = "seccomp"  #: a filter of system calls
    NAMESPACES = "namespaces"  #: of mounts, processes, network, IPC, names and control groups
    USER = (
        "user namespace"  #: its root is nobody's root here, and has no power over what is outside
    )
    CAPABILITY = "capability"  #: given up before init began
    CGROUP = "device cgroup"  #: which devices may be opened and made
    MAC = "label"  #: SELinux's or Smack's policy
    NETWORK = "packet label"  #: which packets may arrive where


@dataclass(frozen=True, slots=True)
class Aim:
    """One side that is attacked, the host or another container. Descriptors are open for nothing
    (O_PATH): each use of one is asked for anew.
    """

    who: str  #: "the host", or the container's name
    tree: int  #: a directory with `key`, `program`, `spare` and `socket` in it, modes all open
    mount: int  #: the same, open for reading: file handles are opened by it
    handle: str  #: `key`'s file handle in hexadecimal, "type:bytes"
    task: int  #: a process, by its number on the host
    victim: int  #: another, to be killed
    stranger: int  #: one of a user that nothing inside is mapped to; on the host its root
    pidfd: int  #: refers to `task`
    proc: int  #: /proc/TASK on the host
    secret: str  #: in `key`, and in the task's memory
    address: int  #: where in the task's memory
    descriptor: int  #: number of a descriptor of the task's
    pty: int  #: the terminal that somebody there works at
    abstract: str  #: name of an abstract socket that listens
    shm: int  #: System V shared memory, for everybody
    tcp: tuple[tuple[str, int], ...]  #: addresses and ports where it listens
    udp: tuple[tuple[str, int], ...]  #: where it answers
    silent: tuple[tuple[str, int], ...]  #: and where it does not
    file_label: str  #: of its files
    process_label: str  #: of its processes


@dataclass(frozen=True, slots=True)
class Targets:
    """All that an attack may know."""

    model: str  #: the security module
    own_label: str  #: of the container's files
    host: Aim
    neighbour: Aim | None
    group: str  #: its control group, below the root of the host's tree
    nodes: dict[str, int]  #: device nodes of the host, by name, modes all open
    sys: int  #: /proc/sys on the host
    proc: int  #: /proc
    sysfs: int  #: /sys
    run: int  #: /run


class NotApplicable(Exception):
    """Why an attack cannot be tried here, in a phrase."""


#: Returns what it got, in a phrase, when it succeeded; raises OSError when it was refused.
Attack = Callable[[Targets], str]


@dataclass(frozen=True, slots=True)
class Probe:
    """One attack. `see` is where to read of it."""

    id: str
    group: str
    sentence: str  #: what it tries, after "tries to"
    promise: str  #: what holds when it is refused
    see: str
    position: Position
    attack: Attack


class Group:
    """Probes that test one promise."""

    def __init__(self, name: str, promise: str) -> None:
        self.name, self.promise = name, promise
        self.probes: list[Probe] = []

    def __iter__(self) -> Iterator[Probe]:
        return iter(self.probes)

    def add(
        self, identity: str, sentence: str, see: str, attack: Attack, position: Position
    ) -> None:
        """Have `attack` be one of them."""
        self.probes.append(
            Probe(identity, self.name, sentence, self.promise, see, position, attack)
        )

    def probe(
        self, identity: str, sentence: str, see: str, position: Position = Position.INSIDE
    ) -> Callable[[Attack], Attack]:
        """Have the function that follows be one of them."""

        def add(attack: Attack) -> Attack:
            self.add(identity, sentence, see, attack, position)
            return attack

        return add


#: An attack that has two aims: its id, what it tries with `{who}` for whose it is, where to read of
#: it, where it begins, and what it does.
Tried = tuple[str, str, str, Position, Callable[[Aim, Targets], str]]


def tried(group: Group, of: str, attacks: Iterable[Tried], at_host: bool) -> Group:
    """Have `attacks`, ids led by `of`, be in the group: on the host or the other container."""
    prefix, who = ("host", "the host") if at_host else ("other", "another container")
    for identity, sentence, see, position, attack in attacks:
        words = sentence.format(who=who)
        group.add(f"{prefix}-{of}{identity}", words, see, aimed(attack, at_host), position)
    return group


def aimed(attack: Callable[[Aim, Targets], str], at_host: bool) -> Attack:
    """The attack on the host, or on the other container."""

    def run(targets: Targets) -> str:
        if at_host:
            return attack(targets.host, targets)
        if targets.neighbour is None:
            raise NotApplicable("no other container was named by --against")
        return attack(targets.neighbour, targets)

    return run


def permitted(call: Callable[[], object], *errors: int) -> str:
    """Succeed if `call` is permitted: it ends, or fails with one of `errors`, which come later."""
    try:
        call()
    except OSError as error:
        if error.errno not in errors:
            raise
    return "the kernel would do it"
