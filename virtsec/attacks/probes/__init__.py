"""The attacks, a module for each promise. Standard library only: all of it goes inside."""

from __future__ import annotations

from virtsec.attacks.probe import Probe
from virtsec.attacks.probes import (
    devices,
    files,
    ipc,
    kernel,
    labels,
    limits,
    network,
    powers,
    tasks,
)

GROUPS = (
    *files.GROUPS,
    *tasks.GROUPS,
    labels.GROUP,
    powers.GROUP,
    devices.GROUP,
    kernel.GROUP,
    ipc.GROUP,
    network.GROUP,
    limits.GROUP,
)
PROBES: dict[str, Probe] = {probe.id: probe for group in GROUPS for probe in group}
