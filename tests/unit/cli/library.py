"""A stand-in for the library the command line calls, and what one run of it said."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

from virtsec.commands import results
from virtsec.domain.metadata import Container
from virtsec.domain.records import DomainState
from virtsec.domain.steps import SetAutostart
from virtsec.errors import Failed, NotFound, Refused, VirtsecError
from virtsec.mac.protocol import Enforcement, Policy
from virtsec.plans.define import DefinePlan
from virtsec.spec import ContainerSpec, Identity, IdRange, Label

LABEL = Label(
    "selinux",
    "system_u:system_r:vs1_t:s0:c1,c2",
    "system_u:object_r:vs1_file_t:s0:c1,c2",
    "system_u:object_r:vs1_exec_t:s0:c1,c2",
)
ROOT = PurePosixPath("/var/lib/virtsec/vs1/rootfs")
IDS = IdRange(1048576)


@dataclass
class Said:
    """What one run of the command line said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one document it is."""
        return json.loads(self.out)


@dataclass
class Library:
    """Stands for `virtsec.commands`; remembers what it was asked for."""

    enforcement: Enforcement = Enforcement.ENFORCING
    asked: list[tuple[str, Any]] = field(default_factory=list)
    domains: list[object] = field(default_factory=list)  #: that libvirt has, for who counts them
    missing: list[str] = field(default_factory=list)  #: what the host lacks
    active: bool = False  #: whether every container runs
    failure: BaseException | None = None  #: raised by whatever is asked for next

    def open_host(self, progress: Any = None) -> Any:
        mac = SimpleNamespace(model="selinux", enforcement=lambda: self.enforcement)
        libvirt = SimpleNamespace(domains=lambda: self.domains)
        return SimpleNamespace(mac=mac, libvirt=libvirt, progress=progress)

    def _note(self, what: str, detail: Any) -> None:
        self.asked.append((what, detail))
        if self.failure is not None:
            raise self.failure

    def define(self, spec: ContainerSpec, _host: Any, _watch: Any) -> results.Defined:
        self._note("define", spec)
        return results.Defined(
            spec.name, results.Kind.UNPRIVILEGED, ROOT, LABEL, IDS, self.enforcement, False
        )

    def plan(self, spec: ContainerSpec, _host: Any) -> DefinePlan:
        self._note("plan", spec)
        return DefinePlan(
            Container(spec, Identity(LABEL, IDS)),
            Policy("vs1", "(type vs1_t)\n"),
            "<domain/>\n",
            (SetAutostart(spec.name),),
        )

    def start(self, name: str, _host: Any, *, follow: bool) -> results.Started:
        del follow
        self._note("start", name)
        if name == "missing":
            raise NotFound("There is no container 'missing'.", "See 'virtsec list --all'.")
        if name == "edited":
            raise Refused("The definition of edited was changed.", "Put it back.")
        if name == "broken":
            raise Failed("It did not start.")
        return results.Started(name, LABEL.process, self.enforcement)

    def find_ours(self, name: str, _host: Any) -> Any:
        self._note("find", name)
        return SimpleNamespace(active=self.active), None

    def _act(self, action: str, name: str) -> results.Acted:
        self._note(action, name)
        return results.Acted(name, action, DomainState.SHUTOFF)

    def shutdown(self, name: str, _host: Any, _wait: float | None) -> results.Acted:
        return self._act("shutdown", name)

    def reboot(self, name: str, _host: Any) -> results.Acted:
        return self._act("reboot", name)

    def destroy(self, name: str, _host: Any) -> results.Acted:
        return self._act("destroy", name)

    def undefine(
        self, names: list[str], _host: Any, storage: bool, _watch: Any
    ) -> dict[str, results.Undefined | VirtsecError]:
        outcomes: dict[str, results.Undefined | VirtsecError] = {}
        for name in names:
            try:
                self._note("undefine", (name, storage))
            except VirtsecError as error:
                outcomes[name] = error
            else:
                outcomes[name] = results.Undefined(name, ROOT, storage)
        return outcomes

    def label(self, name: str, _host: Any, _watch: Any) -> results.Labelled:
        self._note("label", name)
        return results.Labelled(name, ROOT, LABEL)

    def list_domains(self, _host: Any, all_: bool) -> list[results.Listed]:
        self._note("list", all_)
        return [
            results.Listed(
                "vs1",
                DomainState.RUNNING,
                True,
                results.Confinement.CONFINED,
                LABEL.process,
                results.Kind.UNPRIVILEGED,
                ("192.168.122.10",),
            ),
            results.Listed(
                "evil\x1b[31m",
                DomainState.SHUTOFF,
                False,
                results.Confinement.FOREIGN,
                None,
                None,
                (),
            ),
        ]

    def info(self, name: str, _host: Any) -> results.Info:
        self._note("info", name)
        return results.Info(
            name=name,
            uuid="e6441e36-6618-4e16-a9cf-6ebe0b0fccd1",
            state=DomainState.RUNNING,
            persistent=True,
            autostart=False,
            ours=True,
            confinement=results.Confinement.CONFINED,
            remarks=(),
            addresses=("192.168.122.10",),
            init_pid=4711,
            live_label=LABEL.process,
            label_holds=True,
            kind=results.Kind.UNPRIVILEGED,
            label=LABEL,
            ids=IDS,
            rootfs=ROOT,
            memory_mib=512,
        )
