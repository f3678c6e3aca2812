"""fleet plan, diff, export: a host's containers and what a fleet file asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtsec.commands import bases
from virtsec.domain.metadata import Container, readable
from virtsec.fleet.difference import Difference, differences
from virtsec.fleet.document import load
from virtsec.fleet.export import exported
from virtsec.fleet.wanted import wanted
from virtsec.step import Host


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What there is to do, in order; nothing where all is as the file asks."""

    path: Path
    differences: tuple[Difference, ...]


def plan(path: Path, host: Host, *, prune: bool = False) -> FleetPlan:
    """Compare a fleet file with the containers there are; changes nothing.

    With `prune` containers that the file does not name are to be removed; domains that are not
    virtsec's never are. Raises `BadInput` with file and line.
    """
    fleet = wanted(load(path))
    return FleetPlan(path, differences(_containers(host), bases.names(), fleet, prune=prune))


def export(host: Host) -> dict[str, Any]:
    """What a fleet file says that would make the containers there are: its plan is empty."""
    return exported(_containers(host), {})


def _containers(host: Host) -> list[Container]:
    return list(readable(host.libvirt.domains()))
