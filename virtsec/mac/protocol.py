"""What virtsec asks of a security module. Nothing above this protocol asks which one is running.

Implementations: `virtsec.mac.selinux.module.SELinux` and `virtsec.mac.smack.module.Smack`.
Deciding (labels, policy texts, marks) is pure; `load`, `unload` and the steps act.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Protocol

from virtsec.mac.denial import Weighed
from virtsec.mac.reach import Reach
from virtsec.spec import ApartBy, ContainerSpec, IdRange, Label, Traffic, Transport
from virtsec.step import Step


class Enforcement(StrEnum):
    """Whether the kernel refuses what policy does not allow."""

    ENFORCING = "enforcing"
    PERMISSIVE = "permissive"


@dataclass(frozen=True, slots=True)
class Policy:
    """What one container needs loaded: `text` is a CIL module or Smack rules, one per line."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class TreeMarks:
    """Extended attributes that make a tree a container's own, by kind of inode.

    Each maps an attribute's name to its value, such as
    `{"security.selinux": b"system_u:object_r:vs1_file_t:s0:c1,c2\\0"}`. `init` is what the hook
    puts on the file init resolves to; `rest` is what an undefined container's tree gets: a label
    no container may use, or None where the attribute is to be removed.
    """

    files: Mapping[str, bytes]
    directories: Mapping[str, bytes]
    init: Mapping[str, bytes]
    rest: Mapping[str, bytes | None]


class Labels(Protocol):
    """Gives a label to one container after another."""

    def give(self, name: str, apart_by: ApartBy) -> Label:
        """One for container `name` that no process passes for, with a label that is taken or given.

        Raises `BadInput` when the host's own policy already uses a name that `name` would lead to.
        """


class MacModule(Protocol):
    """A security module in force on this host."""

    model: str  #: libvirt's name for it: 'selinux' or 'smack'

    def enforcement(self) -> Enforcement:
        """Whether it enforces now."""

    def ready(self) -> str | None:
        """None when `setup_steps` have nothing left to do, else what is missing, in one phrase."""

    def labels(self, taken: Iterable[str]) -> Labels:
        """What gives labels to new containers.

        `taken` are the process labels of every domain libvirt knows, whoever made it.
        """

    def policy_for(self, spec: ContainerSpec, label: Label, ids: IdRange | None) -> Policy:
        """What confines the container besides what all share; pure, and empty where all do.

        Raises `Refused` for what cannot be said of one container that has no policy of its own.
        """

    def load(self, policies: Sequence[Policy]) -> None:
        """Load any number of policies in one transaction.

        Raises `PolicyFailed`; nothing is changed then.
        """

    def unload(self, names: Collection[str]) -> None:
        """Take containers' policies out, in one transaction; names not loaded are passed over."""

    def loaded(self) -> Mapping[str, str]:
        """Policy texts as loaded now, by container name."""

    def texts(self, own: Policy) -> Mapping[str, str]:
        """All of the policy that confines a container, as this version has it; pure.

        By the name it is kept under: what all containers share first, then the container's `own`.
        """

    def texts_in_force(self, own: Policy) -> Mapping[str, str]:
        """The same as this host has it now, without what is not there."""

    def marks(self, label: Label) -> TreeMarks:
        """The attributes of a tree labelled `label`; pure."""

    def base_marks(self) -> TreeMarks:
        """The attributes of a tree that containers share as their base; pure."""

    def birth(self, marks: TreeMarks) -> Callable[[], None]:
        """What a process runs before it makes files in a directory that has `marks.directories`.

        All it makes there is born with `marks`. It runs between fork and exec, with all privileges.
        """

    def secret_marks(self) -> Mapping[str, bytes]:
        """The attributes of a key file of the host, which no container may read; pure."""

    def file_label(self, path: PurePosixPath) -> str | None:
        """The label `path` carries now."""

    def process_label(self, pid: int) -> str | None:
        """The label process `pid` runs with now; None when it is gone."""

    def seclabel(self, label: Label, models: Collection[str]) -> Mapping[str, str] | None:
        """Attributes and text ('label') for `<seclabel>`; None where libvirt has no such model.

        `models` are the security models in libvirt's host capabilities.
        """

    def setup_steps(self, traffic: Traffic) -> Sequence[Step]:
        """What makes the host ready, less what is there already (empty on a second run).

        `traffic` is what the packets of the containers that there are may reach.
        """

    def remove_steps(self) -> Sequence[Step]:
        """What undoes `setup_steps`, less what is gone already.

        It takes along what is left of containers that libvirt does not know any more.
        """

    def protect(self, *, check: bool) -> Sequence[PurePosixPath]:
        """Label what of the host no container may read and is not labelled so; returns what.

        With `check` it is only found. Always empty where policy alone keeps it from containers.
        """

    def overlaps(self, process: str, label: Label) -> bool:
        """Whether a process labelled `process` passes for one of the container's; pure.

        It does with the same label, and under SELinux with both its categories, whatever its type.
        """

    def reach(self, labels: Collection[Label]) -> Reach:
        """The policy in force now, to be asked about containers labelled `labels`.

        Raises `HostNotReady` when what reads the policy is not installed.
        """

    def port_label(self, port: int, protocol: Transport) -> str:
        """The policy's name for a port, empty where ports have none.

        Raises `HostNotReady` when what reads the policy is not installed.
        """

    def let_through(self, traffic: Traffic) -> None:
        """Have containers' packets reach what they may and nothing else, from now on.

        Raises `Failed`.
        """

    def lets_through(self, traffic: Traffic) -> bool:
        """Whether this and nothing else is in force."""

    def refused(
        self, label: Label, containers: Collection[str], since: datetime.datetime | None
    ) -> Sequence[Weighed]:
        """What was refused the container labelled `label`, and what allowing it would mean.

        `containers` are the names of all containers, its own first; without `since` all that is
        still on record counts. Raises `HostNotReady` when what reads the records is not installed,
        and `Failed` when they cannot be read.
        """

    def restore(self, paths: Sequence[PurePosixPath]) -> None:
        """Put the policy's own label on files virtsec installed; raises `PolicyFailed`."""

    def mislabelled(self, paths: Sequence[PurePosixPath]) -> Sequence[PurePosixPath]:
        """Those of `paths`, and of the module's own files, that `restore` would label otherwise.

        Such is left of what was cut off before it was labelled. Raises `Failed`.
        """
