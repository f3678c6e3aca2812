"""A host that is not there: libvirt and a security module as the interfaces describe them.

For our own logic only. What libvirt, the kernel and the policy really do is tested in the
laboratory.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Self, cast

from lxml import etree

from virtsec.domain.connection import Libvirt
from virtsec.domain.records import DomainRecord, DomainState, NetworkState
from virtsec.errors import Failed, LibvirtFailed, NotFound
from virtsec.host.systemd import Systemd
from virtsec.mac.denial import Weighed
from virtsec.mac.protocol import Enforcement, Policy, TreeMarks
from virtsec.mac.reach import Access, Channel
from virtsec.runtime.start import NAMESPACE
from virtsec.spec import ApartBy, ContainerSpec, IdRange, Label, Limits, Traffic, Transport
from virtsec.step import Host, Step


class FakeLibvirt(Libvirt):
    """Keeps domains in memory. `fails` names methods that raise `LibvirtFailed`."""

    def __init__(self, *records: DomainRecord) -> None:
        self.records = {record.name: record for record in records}
        self.calls: list[tuple[object, ...]] = []
        self.fails: set[str] = set()
        self.given_leases: dict[str, tuple[str, ...]] = {}
        self.stops_when_asked = True

    def domains(self, xml: bool = True) -> list[DomainRecord]:
        """Every domain, by name."""
        return [self.records[name] for name in sorted(self.records)]

    def described(self, records: Iterable[DomainRecord]) -> list[DomainRecord]:
        """They have their XML already."""
        return list(records)

    def anew(self) -> Self:
        """It is no connection."""
        return self

    def domain(self, name: str) -> DomainRecord | None:
        """The domain, or None."""
        return self.records.get(name)

    def define(self, xml: str) -> None:
        """As libvirt: adds a UUID where there is none, and refuses another domain's name."""
        self._called("define")
        root = etree.fromstring(xml)
        name, given = root.findtext("name"), root.findtext("uuid")
        assert name
        there = self.records.get(name)
        if there is not None and there.uuid != given:
            raise LibvirtFailed(f"domain {name} already exists with uuid {there.uuid}.")
        if given is None:
            given = str(uuid.uuid4())
            etree.SubElement(root, "uuid").text = given
        self.records[name] = record(name, etree.tostring(root, encoding="unicode"), uuid=given)

    def limit(self, name: str, limits: Limits) -> None:
        """Only counts."""
        self._called("limit", name, limits)

    def undefine(self, name: str) -> None:
        """Forgets it, and its autostart with it."""
        self._called("undefine", name)
        self._there(name)
        del self.records[name]

    def start(self, name: str) -> None:
        """Has it run as process 4242."""
        self._called("start", name)
        there = self._there(name)
        self.records[name] = replace(there, state=DomainState.RUNNING, pid=4242, live_xml=there.xml)

    def shutdown(self, name: str) -> None:
        """Stops it, unless it does not listen."""
        self._called("shutdown", name)
        if self.stops_when_asked:
            self._stop(name)

    def signal_init(self, name: str, number: int) -> None:
        """Stops it, unless it does not listen."""
        self._called("signal_init", name, number)
        if self.stops_when_asked:
            self._stop(name)

    def reboot(self, name: str) -> None:
        """Is only remembered."""
        self._called("reboot", name)

    def destroy(self, name: str) -> None:
        """Stops it."""
        self._called("destroy", name)
        self._stop(name)

    def set_autostart(self, name: str, on: bool) -> None:
        """Is seen in the record."""
        self._called("set_autostart", name, on)
        self.records[name] = replace(self._there(name), autostart=on)

    def set_metadata(self, name: str, element: str) -> None:
        """As libvirt: the element gets our namespace, and takes the place of the one before."""
        self._called("set_metadata", name)
        there = self._there(name)
        root = etree.fromstring(there.xml)
        holder = root.find("metadata")
        assert holder is not None
        made = etree.fromstring(element)
        for node in made.iter():
            node.tag = f"{{{NAMESPACE}}}{node.tag}"
        holder[:] = [made]
        xml = etree.tostring(root, encoding="unicode")
        self.records[name] = replace(there, xml=xml, live_xml=xml if there.live_xml else None)

    def networks(self) -> dict[str, NetworkState]:
        """The one network `default`."""
        return {}

    def leases(self) -> dict[str, tuple[str, ...]]:
        """What the test gave."""
        return self.given_leases

    def version(self) -> tuple[int, int, int]:
        """Debian 13's."""
        return 11, 3, 0

    def refused_by_us(self, xml: str) -> bool:
        """The hook is in force."""
        return True

    def security_models(self) -> frozenset[str]:
        """SELinux."""
        return frozenset({"selinux"})

    def _there(self, name: str) -> DomainRecord:
        if name not in self.records:
            raise NotFound(f"There is no domain {name}.")
        return self.records[name]

    def _stop(self, name: str) -> None:
        self.records[name] = replace(
            self._there(name), state=DomainState.SHUTOFF, pid=None, live_xml=None
        )

    def _called(self, method: str, *words: object) -> None:
        self.calls.append((method, *words))
        if method in self.fails:
            raise LibvirtFailed(f"libvirt did not {method}.")


@dataclass
class FakeReach:
    """A policy that opens what the test gave: by both process labels, and by channel."""

    ways: dict[tuple[str, str], dict[Channel, list[str]]] = field(default_factory=dict)
    carriers: dict[str, str] = field(default_factory=dict)

    def host_labels(self) -> int:
        """Five."""
        return 5

    def of_host(self, label: Label) -> Mapping[Access, Collection[str]]:
        """One label may be read."""
        return {Access.READ: ["lib_t"], Access.WRITE: [], Access.EXECUTE: []}

    def between(self, one: Label, other: Label) -> Mapping[Channel, Collection[str]]:
        """What the test gave."""
        return self.ways.get((one.process, other.process), {})

    def through(self, one: Label, other: Label) -> Mapping[str, str]:
        """What the test gave, of any two."""
        return self.carriers


class FakeLabels:
    """Types named after the container, and the first free pair."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._ends = {label.rpartition(":")[2] for label in taken}

    def give(self, name: str, apart_by: ApartBy) -> Label:
        """See `Labels`."""
        del apart_by
        pair = next(f"c0,c{n}" for n in range(1, 1024) if f"c0,c{n}" not in self._ends)
        self._ends.add(pair)
        return Label(
            "selinux",
            f"system_u:system_r:{name}_t:s0:{pair}",
            f"system_u:object_r:{name}_file_t:s0:{pair}",
            f"system_u:object_r:{name}_exec_t:s0:{pair}",
        )


@dataclass
class FakeMac:
    """A module that labels as SELinux does, with the lowest free pair `c0,cN`."""

    model: str = "selinux"
    policies: dict[str, str] = field(default_factory=dict)
    missing: str | None = None
    mode: Enforcement = Enforcement.ENFORCING
    running: dict[int, str] = field(default_factory=dict)
    fails: bool = False
    exposed: list[PurePosixPath] = field(default_factory=list)
    astray: set[PurePosixPath] = field(default_factory=set)  #: what has not the label it should
    denied: list[Weighed] = field(default_factory=list)
    reaching: FakeReach = field(default_factory=FakeReach)
    traffic: Traffic = field(default_factory=Traffic)

    def enforcement(self) -> Enforcement:
        """What the test gave."""
        return self.mode

    def ready(self) -> str | None:
        """What the test gave."""
        return self.missing

    def labels(self, taken: Iterable[str]) -> FakeLabels:
        """The first pair no label in `taken` ends with, and so on."""
        return FakeLabels(taken)

    def policy_for(self, spec: ContainerSpec, label: Label, ids: IdRange | None) -> Policy:
        """One line, and one for each addition."""
        more = "".join(f"(allow {each.object})\n" for each in spec.additions)
        more += "".join(f"(listens {each.label})\n" for each in spec.served)
        return Policy(spec.name, f"(container {spec.name})\n{more}")

    def load(self, policies: Sequence[Policy]) -> None:
        """Remembers them, or fails."""
        if self.fails:
            raise Failed("The policy was not taken.")
        self.policies |= {policy.name: policy.text for policy in policies}

    def unload(self, names: Collection[str]) -> None:
        """Forgets them."""
        for name in names:
            self.policies.pop(name, None)

    def loaded(self) -> Mapping[str, str]:
        """What is remembered."""
        return self.policies

    def texts(self, own: Policy) -> Mapping[str, str]:
        """A base of one line, and the container's."""
        return {"base": "(base)\n", own.name: own.text}

    def texts_in_force(self, own: Policy) -> Mapping[str, str]:
        """The base, and the container's where it was loaded."""
        there = {own.name: self.policies[own.name]} if own.name in self.policies else {}
        return {"base": "(base)\n", **there}

    def port_label(self, port: int, protocol: Transport) -> str:
        """A type for each."""
        return f"{protocol}_{port}_t"

    def let_through(self, traffic: Traffic) -> None:
        """Remembers it, or fails."""
        if self.fails:
            raise Failed("The links were not taken.")
        self.traffic = traffic

    def lets_through(self, traffic: Traffic) -> bool:
        """Whether it is what is remembered."""
        return self.traffic == traffic

    def protect(self, *, check: bool) -> Sequence[PurePosixPath]:
        """What the test gave, once unless only looked at."""
        found = tuple(self.exposed)
        if not check:
            self.exposed.clear()
        return found

    def base_marks(self) -> TreeMarks:
        """One that is no container's."""
        mark = {"security.selinux": b"base"}
        return TreeMarks(mark, mark, mark, mark)

    def marks(self, label: Label) -> TreeMarks:
        """Attributes that any file system takes."""
        return TreeMarks(
            files={"user.label": label.file.encode()},
            directories={"user.label": label.file.encode()},
            init={"user.label": label.init.encode()},
            rest={"user.label": b"rest"},
        )

    def birth(self, marks: TreeMarks) -> Callable[[], None]:
        """Nothing to be done."""
        del marks
        return lambda: None

    def secret_marks(self) -> Mapping[str, bytes]:
        """None."""
        return {}

    def file_label(self, path: PurePosixPath) -> str | None:
        """None."""
        return None

    def process_label(self, pid: int) -> str | None:
        """What the test gave."""
        return self.running.get(pid)

    def seclabel(self, label: Label, models: Collection[str]) -> Mapping[str, str] | None:
        """As SELinux's."""
        if self.model not in models:
            return None
        return {"type": "static", "model": self.model, "relabel": "no", "label": label.process}

    def setup_steps(self, traffic: Traffic) -> Sequence[Step]:
        """None."""
        return ()

    def remove_steps(self) -> Sequence[Step]:
        """None."""
        return ()

    def restore(self, paths: Sequence[PurePosixPath]) -> None:
        """Remembers it."""
        self.astray -= {*paths}

    def mislabelled(self, paths: Sequence[PurePosixPath]) -> Sequence[PurePosixPath]:
        """What the test gave."""
        return [path for path in paths if path in self.astray]

    def overlaps(self, process: str, label: Label) -> bool:
        """Only the same label does."""
        return process == label.process

    def refused(
        self, label: Label, containers: Collection[str], since: datetime.datetime | None
    ) -> Sequence[Weighed]:
        """What the test gave."""
        return self.denied

    def reach(self, labels: Collection[Label]) -> FakeReach:
        """What the test gave."""
        del labels
        return self.reaching


@dataclass
class Recorder:
    """Progress that remembers what began."""

    begun: list[str] = field(default_factory=list)
    ended: int = 0

    def begin(self, what: str, total: int | None) -> None:
        """Remembers."""
        self.begun.append(what)

    def advance(self, items: int = 1) -> None:
        """Nothing."""

    def end(self) -> None:
        """Counts."""
        self.ended += 1


def record(
    name: str, xml: str, *, uuid: str = "", running: bool = False, autostart: bool = False
) -> DomainRecord:
    """A domain of that XML."""
    return DomainRecord(
        name=name,
        uuid=uuid or "8c0d5e0e-0000-4000-8000-000000000001",
        state=DomainState.RUNNING if running else DomainState.SHUTOFF,
        xml=xml,
        live_xml=xml if running else None,
        persistent=True,
        autostart=autostart,
        pid=4242 if running else None,
    )


def defined(name: str, xml: str, *, running: bool = False) -> DomainRecord:
    """A domain of that XML as libvirt gives it back, with a UUID: it can be defined otherwise."""
    given = str(uuid.uuid4())
    return record(
        name,
        xml.replace("</name>", f"</name><uuid>{given}</uuid>", 1),
        uuid=given,
        running=running,
    )


FOREIGN = """<domain type='lxc'>
  <name>{name}</name>
  <uuid>8c0d5e0e-0000-4000-8000-00000000000f</uuid>
  <memory unit='KiB'>65536</memory>
  <idmap>
    <uid start='0' target='{start}' count='65536'/>
    <gid start='0' target='{start}' count='65536'/>
  </idmap>
  <os><type>exe</type><init>/bin/sh</init></os>
  <devices>
    <filesystem type='mount'><source dir='/srv/foreign'/><target dir='/'/></filesystem>
    <interface type='network'>
      <mac address='52:54:00:0F:00:01'/>
      <source network='default'/>
      <ip address='192.168.122.50' family='ipv4' prefix='24'/>
    </interface>
  </devices>
  <seclabel type='static' model='selinux'>
    <label>system_u:system_r:container_t:s0:c0,c1</label>
  </seclabel>
</domain>
"""


def foreign(name: str = "theirs", start: int = 0x70000000, running: bool = False) -> DomainRecord:
    """A domain that virtsec did not make."""
    return record(name, FOREIGN.format(name=name, start=start), running=running)


@dataclass
class FakeSystemd:
    """Remembers properties by unit."""

    units: dict[str, dict[str, str]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def unit_files(self, prefix: str) -> Mapping[str, str]:
        """What is remembered."""
        return {name: text for name, text in self.files.items() if name.startswith(prefix)}

    def active(self, unit: str) -> bool:
        """Whether it is remembered."""
        return unit in self.files

    def put_units(self, gone: Collection[str], texts: Mapping[str, str], restore: object) -> None:
        """Remembers them."""
        del restore
        for unit in gone:
            del self.files[unit]
        self.files.update(texts)

    def set_properties(self, unit: str, properties: Mapping[str, str]) -> None:
        """Remembers them."""
        self.units.setdefault(unit, {}).update(properties)

    def limited(self, units: Collection[str]) -> list[str]:
        """Those that are remembered."""
        return [unit for unit in units if unit in self.units]

    def forget(self, units: Sequence[str]) -> None:
        """Forgets them."""
        for unit in units:
            self.units.pop(unit, None)

    def shown(self, unit: str, names: Collection[str]) -> Mapping[str, str]:
        """What is remembered."""
        kept = self.units.get(unit, {})
        return {name: kept.get(name, "") for name in names}


def fake_host(*records: DomainRecord) -> Host:
    """A host with these domains."""
    return Host(FakeLibvirt(*records), FakeMac(), Recorder(), cast(Systemd, FakeSystemd()))
