"""The steps that change libvirt's definitions."""

from __future__ import annotations

from dataclasses import dataclass

from virtsec.domain import metadata
from virtsec.domain.limits import properties, slice_of
from virtsec.domain.rlimits import limit_files, limit_inotify
from virtsec.errors import BadInput
from virtsec.spec import Limits
from virtsec.step import Host


@dataclass(frozen=True, slots=True)
class DefineDomain:
    """Make a domain that is not there yet."""

    name: str
    xml: str

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"define the domain {self.name}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`. libvirt itself refuses a name that another domain has."""
        host.libvirt.define(self.xml)

    def undo(self, host: Host) -> None:
        """See `Step.undo`. A domain of this name that somebody else made meanwhile stays."""
        record = host.libvirt.domain(self.name)
        if record is not None and _same(record.xml, self.xml):
            host.libvirt.undefine(self.name)


@dataclass(frozen=True, slots=True)
class UndefineDomain:
    """Forget a domain that does not run. `xml` is its definition, to put it back."""

    name: str
    xml: str
    autostart: bool

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"undefine the domain {self.name}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        if host.libvirt.domain(self.name) is not None:
            host.libvirt.undefine(self.name)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        if host.libvirt.domain(self.name) is None:
            host.libvirt.define(self.xml)
            host.libvirt.set_autostart(self.name, self.autostart)


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """Change what virtsec keeps of a container in its domain, whether it runs or not."""

    before: metadata.Container
    after: metadata.Container

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"change virtsec's metadata of {self.after.name}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        host.libvirt.set_metadata(self.after.name, metadata.without_namespace(self.after))

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        host.libvirt.set_metadata(self.before.name, metadata.without_namespace(self.before))


@dataclass(frozen=True, slots=True)
class RedefineDomain:
    """Change a domain's definition; what runs of it goes on."""

    name: str
    before: str
    after: str

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"change the definition of the domain {self.name}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        host.libvirt.define(self.after)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        host.libvirt.define(self.before)


@dataclass(frozen=True, slots=True)
class LimitRunning:
    """Change what a running container may take, but for what `LimitSlice` does."""

    name: str
    before: Limits
    after: Limits
    mapped: bool  #: it has ids of its own

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"change the limits {self.name} runs with"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        _limit_running(host, self.name, self.after, self.mapped)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        _limit_running(host, self.name, self.before, self.mapped)


@dataclass(frozen=True, slots=True)
class LimitSlice:
    """Have systemd limit a container in what libvirt has no word for, from now on."""

    name: str
    before: Limits | None  #: None when it is new
    after: Limits

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"limit {slice_of(self.name)} to {self.after.pids} processes and threads"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        _limit_slice(host, self.name, self.after)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        _limit_slice(host, self.name, self.before)


@dataclass(frozen=True, slots=True)
class ForgetSlices:
    """Take the limits of containers that do not run out of systemd again, all at once.

    It reads all its units anew for that, which takes as long for one as for many.
    """

    limits: tuple[tuple[str, Limits], ...]  #: of containers by name

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"forget the limits of {', '.join(name for name, _ in self.limits)}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        host.systemd.forget([slice_of(name) for name, _ in self.limits])

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        for name, limits in self.limits:
            _limit_slice(host, name, limits)


@dataclass(frozen=True, slots=True)
class SetAutostart:
    """Have a domain that was just defined start with the host."""

    name: str

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"start {self.name} with the host"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        host.libvirt.set_autostart(self.name, True)

    def undo(self, host: Host) -> None:
        """See `Step.undo`. Nothing is left: libvirt forgets it together with the definition."""


@dataclass(frozen=True, slots=True)
class ChangeAutostart:
    """Have a domain start with the host, or not."""

    name: str
    on: bool

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"{'start' if self.on else 'no longer start'} {self.name} with the host"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        host.libvirt.set_autostart(self.name, self.on)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        host.libvirt.set_autostart(self.name, not self.on)


def _limit_slice(host: Host, name: str, limits: Limits | None) -> None:
    if limits is None:
        host.systemd.forget([slice_of(name)])
    else:
        host.systemd.set_properties(slice_of(name), properties(limits))


def _limit_running(host: Host, name: str, limits: Limits, mapped: bool) -> None:
    host.libvirt.limit(name, limits)
    if limits.files is not None:
        limit_files(name, limits.files)
    record = host.libvirt.domain(name)
    if mapped and record is not None and record.pid is not None:
        limit_inotify(name, record.pid, limits.inotify)


def _same(one: str, other: str) -> bool:
    """Whether both definitions are of one container of ours."""
    try:
        found, expected = metadata.read(one), metadata.read(other)
    except BadInput:
        return False
    return found is not None and expected is not None and found.identity == expected.identity
