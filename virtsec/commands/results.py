"""What commands return: frozen data that `as_json` turns into documented objects.

Field names are the keys; a field that does not apply is null.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import StrEnum
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from virtsec.domain.records import DomainState
from virtsec.mac.protocol import Enforcement
from virtsec.spec import (
    Base,
    ContainerSpec,
    Exposed,
    IdRange,
    Label,
    Limits,
    Link,
    Mount,
    Network,
    Served,
)
from virtsec.step import Step
from virtsec.step import as_json as step_as_json

if TYPE_CHECKING:
    from virtsec.plans.define import DefinePlan


class Kind(StrEnum):
    """Whether root inside is root outside."""

    UNPRIVILEGED = "unprivileged"  #: no: it has ids of its own
    PRIVILEGED = "privileged"  #: yes: only the security module stands between


class Confinement(StrEnum):
    """How a domain is confined, the worst that is true of it."""

    CONFINED = "confined"  #: defined by virtsec, intact, and runs (if so) with its own label
    PERMISSIVE = "permissive"  #: the same, but the security module refuses nothing now
    EDITED = "edited"  #: its definition was changed so that the next start will be refused
    MISLABELLED = "mislabelled"  #: runs with another label than its definition's
    BROKEN = "broken"  #: virtsec's metadata cannot be read, or is gone
    FOREIGN = "foreign"  #: virtsec did not make it and does not touch it


@dataclasses.dataclass(frozen=True, slots=True)
class Defined:
    """A container that was defined."""

    name: str  #: its own
    kind: Kind  #: whether root inside is root outside
    rootfs: PurePosixPath  #: its tree on this host
    label: Label  #: its labels
    ids: IdRange | None  #: of this host's that are its own; None when it is privileged
    enforcement: Enforcement  #: whether anything is refused to it now
    autostart: bool  #: it is started with the host
    unlabelled: tuple[PurePosixPath, ...] = ()  #: mounted directories that have not its label


@dataclasses.dataclass(frozen=True, slots=True)
class Undefined:
    """A container that was undefined."""

    name: str  #: that it had
    rootfs: PurePosixPath  #: its tree on this host
    removed: bool  #: the tree is gone; else it was left, with a label no container may use


@dataclasses.dataclass(frozen=True, slots=True)
class Started:
    """A container that was started. With `enforcement` permissive nothing is refused to it."""

    name: str  #: its own
    label: str  #: of its processes
    enforcement: Enforcement  #: of the security module


@dataclasses.dataclass(frozen=True, slots=True)
class Acted:
    """A container that was shut down, rebooted or destroyed, and its state afterwards.

    A shutdown or reboot is a request: without waiting the state may still be "running".
    """

    name: str  #: its own
    action: str  #: "shutdown", "reboot" or "destroy"
    state: DomainState  #: as libvirt sees it


@dataclasses.dataclass(frozen=True, slots=True)
class Labelled:
    """A container whose tree was labelled anew."""

    name: str  #: its own
    rootfs: PurePosixPath  #: the tree that was labelled
    label: Label  #: what it has now


@dataclasses.dataclass(frozen=True, slots=True)
class Listed:
    """One line of the list."""

    name: str  #: the domain's
    state: DomainState  #: as libvirt sees it
    ours: bool  #: virtsec made it
    confinement: Confinement  #: the worst that is true of it
    label: str | None  #: of its processes, as defined
    kind: Kind | None  #: whether root inside is root outside; None when not ours
    addresses: tuple[str, ...]  #: static and leased, without prefix


@dataclasses.dataclass(frozen=True, slots=True)
class Info:
    """All about one domain. From `kind` on everything is None or empty when it is not ours."""

    name: str  #: the domain's
    uuid: str  #: libvirt's
    state: DomainState  #: as libvirt sees it
    persistent: bool  #: libvirt keeps its definition when it stops
    autostart: bool  #: it is started with the host
    ours: bool  #: virtsec made it
    confinement: Confinement  #: the worst that is true of it
    remarks: tuple[str, ...]  #: why it is not `confined`, a sentence each
    addresses: tuple[str, ...]  #: static and leased, without prefix
    init_pid: int | None  #: on the host, when it runs
    live_label: str | None  #: what init runs with now
    label_holds: bool | None  #: whether that is the definition's; None when it does not run
    kind: Kind | None = None  #: whether root inside is root outside
    label: Label | None = None  #: its labels
    ids: IdRange | None = None  #: of this host's that are its own; None when it is privileged
    rootfs: PurePosixPath | None = None  #: its tree on this host
    source: str | None = None  #: what the tree was made from
    memory_mib: int | None = None  #: MiB of memory
    vcpus: int | None = None  #: processors that it may keep busy
    network: Network | None = None  #: its one interface
    mounts: tuple[Mount, ...] = ()  #: directories of this host seen inside
    init: PurePosixPath | None = None  #: its first program, a path inside
    init_args: tuple[str, ...] = ()  #: the arguments of that
    init_policy: str | None = None  #: "own" or "pristine": whether it may replace its init
    base: Base | None = None  #: what the root is a layer on
    scratch: bool = False  #: whether what is written on it is gone at stop
    apart_by: str | None = None  #: what keeps it apart from others: its type, or categories alone
    limits: Limits | None = None  #: what it may take of this host
    links: tuple[Link, ...] = ()  #: what it may ask others for
    served: tuple[Served, ...] = ()  #: ports that others may ask it at
    egress: str | None = None  #: whom it may ask besides: "none", "lan" or "all"
    exposed: tuple[Exposed, ...] = ()  #: its ports that are the host's as well


@dataclasses.dataclass(frozen=True, slots=True)
class Planned:
    """What `define` would do, without doing it."""

    spec: ContainerSpec  #: what was asked for
    label: Label  #: its labels
    ids: IdRange | None  #: of this host's that would be its own; None when it is privileged
    xml: str  #: the domain
    policy: str  #: in the security module's language
    steps: tuple[dict[str, Any], ...]  #: what would be done, in order

    @classmethod
    def of(cls, plan: DefinePlan) -> Planned:
        """The plan as data to print."""
        identity = plan.container.identity
        return cls(
            spec=plan.container.spec,
            label=identity.label,
            ids=identity.ids,
            xml=plan.xml,
            policy=plan.policy.text,
            steps=tuple(step_as_json(step) for step in plan.steps),
        )


def as_json(value: Any) -> Any:
    """`value`, a result or part of one, as what `json.dumps` takes.

    Dataclasses become objects, tuples lists, enumerations their values; paths and addresses
    become strings. A step is what it is called and what it does.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        if isinstance(value, Step):
            return step_as_json(value)
        return {f.name: as_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [as_json(item) for item in value]
    if isinstance(value, StrEnum):
        return value.value
    plain = value is None or isinstance(value, bool | int | float | str)
    return value if plain else str(value)
