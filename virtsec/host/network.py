"""libvirt's own network `default`, made ready for containers and given back as it was.

What setup changed is recorded in the network itself, in its `<metadata>` under a namespace of ours,
before it is changed; `setup --remove` undoes what is recorded there and nothing else. See
https://libvirt.org/formatnetwork.html.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING

from lxml import etree

from virtsec.domain.document import parse, serialise
from virtsec.errors import Failed
from virtsec.host.places import Places
from virtsec.step import Host, Step

if TYPE_CHECKING:
    from virtsec.domain.connection import Libvirt
    from virtsec.domain.records import DomainRecord

NAME = "default"
NAMESPACE = "urn:virtsec:setup"
_TAG = f"{{{NAMESPACE}}}setup"
_WHAT = f"the definition of libvirt's network '{NAME}'"


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """What setup did to the network; all False: nothing."""

    defined: bool = False
    started: bool = False
    autostarted: bool = False
    forwarding: bool = False  #: the host did not route IPv4 before

    def merged(self, other: NetworkRecord) -> NetworkRecord:
        """What either of two runs of setup did."""
        both = {f.name: getattr(self, f.name) or getattr(other, f.name) for f in fields(self)}
        return NetworkRecord(**both)


NOTHING = NetworkRecord()


def read_record(xml: str) -> NetworkRecord:
    """The record in a network's XML, `NOTHING` where there is none."""
    found = parse(xml, _WHAT).find(f"metadata/{_TAG}")
    if found is None:
        return NOTHING
    return NetworkRecord(**{f.name: found.get(f.name) == "yes" for f in fields(NetworkRecord)})


def write_record(xml: str, record: NetworkRecord) -> str:
    """`xml` with `record` in its metadata, or without ours when that is `NOTHING`."""
    network = parse(xml, _WHAT)
    metadata = network.find("metadata")
    if metadata is None:
        metadata = etree.Element("metadata")
        network.insert(1, metadata)
    for old in metadata.findall(_TAG):
        metadata.remove(old)
    if record != NOTHING:
        done = {f.name: "yes" for f in fields(record) if getattr(record, f.name)}
        etree.SubElement(metadata, _TAG, {"version": "1", **done}, {"virtsec": NAMESPACE})
    if not len(metadata):
        network.remove(metadata)
    return serialise(network)


@dataclass(frozen=True, slots=True)
class NetworkNow:
    """What planning needs to know of the network and the host's routing."""

    xml: str | None  #: its persistent definition; None when there is no such network
    active: bool = False
    autostart: bool = False
    forwards: bool = False  #: the host routes IPv4
    in_use: bool = False  #: its bridge has ports (older libvirt's own `-nic` apart)
    other_bridges: bool = False  #: the host has bridges besides this network's
    named: bool = False  #: a domain is defined to be attached to it


def look(libvirt: Libvirt, places: Places, domains: Iterable[DomainRecord] = ()) -> NetworkNow:
    """The network as it is now, and whether one of `domains` names it."""
    forwards = places.forwarding.read_text().strip() == "1"
    bridges = {path.parent.name for path in places.interfaces.glob("*/bridge")}
    state = libvirt.networks().get(NAME)
    if state is None:
        return NetworkNow(xml=None, forwards=forwards, other_bridges=bool(bridges))
    ports = list(places.interfaces.glob(f"{state.bridge}/brif/*")) if state.bridge else []
    return NetworkNow(
        xml=libvirt.network_xml(NAME),
        active=state.active,
        autostart=state.autostart,
        forwards=forwards,
        in_use=any(not port.name.endswith("-nic") for port in ports),
        other_bridges=bool(bridges - {state.bridge}),
        named=any(_names(each) for each in domains),
    )


def _names(record: DomainRecord) -> bool:
    """Whether a domain has an interface on the network."""
    domain = parse(record.xml, f"the definition of {record.name}")
    return domain.find(f"devices/interface/source[@network='{NAME}']") is not None


def plan_network(now: NetworkNow, template: str, forwarding: Path) -> list[Step]:
    """The steps to a network that is active and starts with the host; pure.

    `template` is the XML it is defined from where there is none. Starting it makes the host route
    IPv4, which libvirt does by itself and nothing of it undoes: so that is a step before it.
    """
    todo = NetworkRecord(
        defined=now.xml is None,
        started=not now.active,
        autostarted=not now.autostart,
        forwarding=not now.forwards,
    )
    if todo == NOTHING:
        return []
    steps: list[Step] = []
    if now.xml is None:
        steps.append(DefineNetwork(write_record(template, todo)))
    else:
        before = read_record(now.xml)
        if (record := before.merged(todo)) != before:
            steps.append(RecordNetwork(record, before))
    if todo.forwarding:
        steps.append(SetForwarding(True, forwarding))
    if todo.started:
        steps.append(SetNetworkActive(True))
    if todo.autostarted:
        steps.append(SetNetworkAutostart(True))
    return steps


def plan_network_removal(now: NetworkNow, forwarding: Path) -> list[Step]:
    """The steps that undo what is recorded in the network; pure.

    A network that something running is attached to stays up, one that a domain names stays defined,
    and routing stays on where the host has other bridges: taking them away would cut off what is
    not ours.
    """
    if now.xml is None or (record := read_record(now.xml)) == NOTHING:
        return []
    steps: list[Step] = []
    if record.autostarted and now.autostart:
        steps.append(SetNetworkAutostart(False))
    if record.started and now.active and not now.in_use:
        steps.append(SetNetworkActive(False))
    if record.forwarding and now.forwards and not (now.in_use or now.other_bridges):
        steps.append(SetForwarding(False, forwarding))
    if record.defined and not (now.in_use or now.named):
        steps.append(UndefineNetwork(now.xml))
    else:
        steps.append(RecordNetwork(NOTHING, record))
    return steps


@dataclass(frozen=True, slots=True)
class DefineNetwork:
    """Define the network that libvirt ships a definition of."""

    xml: str = field(repr=False)

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"define libvirt's network '{NAME}'"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        host.libvirt.define_network(self.xml)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        if NAME in host.libvirt.networks():
            host.libvirt.undefine_network(NAME)


@dataclass(frozen=True, slots=True)
class UndefineNetwork:
    """Take away the network that setup defined."""

    xml: str = field(repr=False)

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"undefine libvirt's network '{NAME}', which setup defined"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        if NAME in host.libvirt.networks():
            host.libvirt.undefine_network(NAME)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        host.libvirt.define_network(self.xml)


@dataclass(frozen=True, slots=True)
class RecordNetwork:
    """Write down in the network what is about to be changed, or forget what was undone."""

    record: NetworkRecord
    before: NetworkRecord

    def describe(self) -> str:
        """See `Step.describe`."""
        if self.record == NOTHING:
            return f"take virtsec's record out of libvirt's network '{NAME}'"
        return f"record in libvirt's network '{NAME}' what setup changes"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        self._write(host, self.record)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        self._write(host, self.before)

    def _write(self, host: Host, record: NetworkRecord) -> None:
        xml = host.libvirt.network_xml(NAME)
        if read_record(xml) != record:
            host.libvirt.define_network(write_record(xml, record))


@dataclass(frozen=True, slots=True)
class SetNetworkActive:
    """Start or stop the network."""

    active: bool

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"{'start' if self.active else 'stop'} libvirt's network '{NAME}'"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        self._set(host, self.active)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        self._set(host, not self.active)

    def _set(self, host: Host, active: bool) -> None:
        now = host.libvirt.networks().get(NAME)
        if now is None or now.active == active:
            return
        if active:
            host.libvirt.start_network(NAME)
        else:
            host.libvirt.stop_network(NAME)


@dataclass(frozen=True, slots=True)
class SetNetworkAutostart:
    """Have the network start with the host, or not."""

    on: bool

    def describe(self) -> str:
        """See `Step.describe`."""
        how = "start with the host" if self.on else "no longer start with the host"
        return f"have libvirt's network '{NAME}' {how}"

    def apply(self, host: Host) -> None:
        """See `Step.apply`."""
        host.libvirt.set_network_autostart(NAME, self.on)

    def undo(self, host: Host) -> None:
        """See `Step.undo`."""
        host.libvirt.set_network_autostart(NAME, not self.on)


@dataclass(frozen=True, slots=True)
class SetForwarding:
    """Have the kernel route IPv4 packets, or not."""

    on: bool
    switch: Path

    def describe(self) -> str:
        """See `Step.describe`."""
        return f"turn routing of IPv4 {'on' if self.on else 'off again'}"

    def apply(self, host: Host) -> None:  # noqa: ARG002
        """See `Step.apply`."""
        self._set(self.on)

    def undo(self, host: Host) -> None:  # noqa: ARG002
        """See `Step.undo`."""
        self._set(not self.on)

    def _set(self, on: bool) -> None:
        wanted = "1\n" if on else "0\n"
        try:
            if self.switch.read_text() != wanted:
                self.switch.write_text(wanted)
        except OSError as error:
            raise Failed(
                f"{self.switch} could not be written: {error.strerror}.",
                "Mend that, then run `virtsec setup` again.",
            ) from error
