"""How far one host goes: what each step takes with more and more containers, and how it grows.

They are defined and not made: their trees would be the measure of the disk and not of virtsec.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.paired import seconds
from bench.programs import runs

from virtsec.commands.facts import gather
from virtsec.commands.host import open_host
from virtsec.domain.claims import claims
from virtsec.domain.metadata import readable
from virtsec.plans.define import plan_making
from virtsec.plans.offer import Offer
from virtsec.spec import STORE, ApartBy, ContainerSpec
from virtsec.step import Host, Silent

SIZES = (1_250, 2_500, 5_000, 10_000)


@dataclass
class Measured:
    """Seconds of a step at each size, or MiB where `memory` is set."""

    step: str
    memory: bool = False
    found: dict[int, float] = field(default_factory=dict)

    @property
    def order(self) -> float:
        """The power of n that it grows with, from the smallest size to the largest."""
        first, *_, last = sorted(self.found)
        return math.log(self.found[last] / self.found[first]) / math.log(last / first)

    def document(self) -> dict[str, Any]:
        """What the JSON has of it."""
        unit = "mib" if self.memory else "seconds"
        return {"step": self.step, unit: self.found, "order": round(self.order, 2)}


def measure(sizes: tuple[int, ...] = SIZES) -> list[Measured]:
    """Each step at each size."""
    host = open_host(Silent())
    rows: dict[str, Measured] = {}

    def note(step: str, size: int, value: float, memory: bool = False) -> None:
        rows.setdefault(step, Measured(step, memory)).found[size] = round(value, 3)

    defined = sizes[0] // 2
    for _, work in _steps(host, 0, defined)[:2]:
        work()
    try:
        for size in sizes:
            for step, work in _steps(host, defined, size):
                note(step, size, seconds(work))
                print(f"scale: {size:,}: {step}", flush=True)
            defined = size
            note("memory of this process", size, _memory(os.getpid()), memory=True)
    finally:
        for record in host.libvirt.domains():
            if record.name.startswith("scale-"):
                host.libvirt.undefine(record.name)
    return list(rows.values())


def _steps(host: Host, have: int, size: int) -> list[tuple[str, Callable[[], object]]]:
    xml: list[str] = []

    def plan() -> None:
        facts = gather(host)
        offer = Offer(facts, host.mac)
        for number in range(have, size):
            container = offer.identified(_spec(number))
            xml.append(plan_making(container, facts, host.mac).xml)

    def define() -> None:
        for each in xml:
            host.libvirt.define(each)

    return [
        ("plan half of them", plan),
        ("define that half in libvirt", define),
        ("look at the host", lambda: claims(gather(host).domains)),
        ("read all metadata", lambda: list(readable(gather(host).domains))),
        ("virtsec list --all", partial(runs, ("virtsec", "list", "--all"))),
        ("virsh list --all", partial(runs, ("virsh", "-c", "lxc:///", "list", "--all"))),
    ]


def _spec(number: int) -> ContainerSpec:
    name = f"scale-{number}"
    root = STORE / name / "rootfs"
    return ContainerSpec(name, root, "/srv/images/busybox.tar", apart_by=ApartBy.CATEGORY)


def _memory(process: int) -> float:
    """MiB that a process has resident."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / (1 << 20)
