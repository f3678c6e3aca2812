"""A host inside a directory, with a libvirt and a security module made of dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from tests.unit.fakes import FakeSystemd
from virtsec.domain.records import DomainRecord, DomainState, NetworkState
from virtsec.host.places import Places
from virtsec.spec import Traffic
from virtsec.step import Host, Step

NETWORK = """<network>
  <name>default</name>
  <uuid>e6441e36-6618-4e16-a9cf-6ebe0b0fccd1</uuid>
  <forward mode='nat'/>
  <bridge name='virbr0' stp='on' delay='0'/>
</network>
"""


@dataclass
class FakeLibvirt:
    """Domains and networks, and what was done to them; a started network makes the host route."""

    forwarding: Path
    definitions: dict[str, str] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)
    autostart: set[str] = field(default_factory=set)
    found: list[DomainRecord] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def domains(self) -> list[DomainRecord]:
        return self.found

    def networks(self) -> dict[str, NetworkState]:
        return {
            name: NetworkState(name, name in self.active, name in self.autostart, "virbr0")
            for name in self.definitions
        }

    def network_xml(self, name: str) -> str:
        return self.definitions[name]

    def define_network(self, xml: str) -> None:
        self.done.append("define")
        self.definitions["default"] = xml

    def undefine_network(self, name: str) -> None:
        self.done.append("undefine")
        del self.definitions[name]
        self.autostart.discard(name)

    def start_network(self, name: str) -> None:
        self.done.append("start")
        self.active.add(name)
        self.forwarding.write_text("1\n")

    def stop_network(self, name: str) -> None:
        self.done.append("stop")
        self.active.remove(name)

    def set_network_autostart(self, name: str, on: bool) -> None:
        self.done.append(f"autostart {on}")
        (self.autostart.add if on else self.autostart.discard)(name)


@dataclass(frozen=True)
class PolicyStep:
    """Loads or removes the fake's base policy."""

    loaded: bool
    mac: FakeMac

    def describe(self) -> str:
        return "load the base policy" if self.loaded else "remove the base policy"

    def apply(self, host: Host) -> None:
        self.mac.loaded = self.loaded

    def undo(self, host: Host) -> None:
        self.mac.loaded = not self.loaded


@dataclass
class FakeMac:
    """A module whose base policy is loaded or not, and the files it was asked to label."""

    loaded: bool = False
    restored: list[PurePosixPath] = field(default_factory=list)
    astray: set[PurePosixPath] = field(default_factory=set)  #: what has not the label it should
    protecting: Callable[[], None] = lambda: None

    def ready(self) -> str | None:
        return None if self.loaded else "the base policy is not loaded"

    def setup_steps(self, traffic: Traffic) -> list[Step]:
        return [] if self.loaded else [PolicyStep(True, self)]

    def remove_steps(self) -> list[Step]:
        return [PolicyStep(False, self)] if self.loaded else []

    def restore(self, paths: Sequence[PurePosixPath]) -> None:
        assert self.loaded, "files get the policy's labels, so it has to be there first"
        self.restored += paths
        self.astray -= {*paths}

    def mislabelled(self, paths: Sequence[PurePosixPath]) -> list[PurePosixPath]:
        return [path for path in paths if path in self.astray]

    def protect(self, *, check: bool) -> list[PurePosixPath]:
        assert not check
        self.protecting()
        return []


@dataclass
class Machine:
    """All of it, and a plan's unit of libvirt's daemon with a record of its reloads."""

    places: Places
    libvirt: FakeLibvirt
    mac: FakeMac
    reloads: list[bool] = field(default_factory=list)  #: whether the hook was there at each
    systemd: FakeSystemd = field(default_factory=FakeSystemd)

    @property
    def host(self) -> Host:
        libvirt: Any = self.libvirt
        mac: Any = self.mac
        systemd: Any = self.systemd
        return Host(libvirt, mac, systemd=systemd)

    def snapshot(self) -> dict[str, tuple[Any, ...]]:
        """Every path with type, mode, time of change of content, and content."""
        found = {}
        for path in sorted(self.places.prefix.rglob("*")):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            when = status.st_mtime_ns if path.is_file() else 0
            found[str(path)] = (status.st_mode, when, content)
        return found


@dataclass
class Done:
    """A command that ran."""

    stdout: str
    stderr: str = ""
    returncode: int = 0


def foreign_domain(name: str) -> DomainRecord:
    """A container that libvirt has and virtsec did not make."""
    xml = f"<domain type='lxc'><name>{name}</name></domain>"
    return DomainRecord(name, "", DomainState.SHUTOFF, xml, None, True, False, None)


def broken_domain(name: str) -> DomainRecord:
    """A container of virtsec whose metadata says nothing it understands."""
    xml = (
        f"<domain type='lxc'><name>{name}</name><metadata>"
        "<v:container xmlns:v='urn:virtsec:container' version='99'/></metadata></domain>"
    )
    return DomainRecord(name, "", DomainState.SHUTOFF, xml, None, True, False, None)
