"""A guest that has virtsec installed and set up, kept as a layer above the guest's own image."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .boot import job_disk, powered_on
from .cache import Cache, digest
from .errors import LabError
from .guest import Guest
from .progress import Progress
from .qemu import Hardware, Lsm, overlay
from .wheel import Wheel

# As an administrator installs a wheel on Debian: libraries are the distribution's.
INSTALL = (
    "python3 -m pip install --no-deps --no-index --break-system-packages "
    "--root-user-action=ignore --quiet *.whl"
)
SETUP = "virtsec setup"

KEEP = 6
"""How many layers to keep; each is some 100 MB."""


@dataclass(frozen=True)
class Step:
    """One command of the preparation, run by sh."""

    what: str
    command: str


def steps(*, setup: bool) -> Sequence[Step]:
    """Return what makes a guest one with virtsec; without ``setup`` it is installed only."""
    install = Step("installing virtsec in the guest", INSTALL)
    return [install, Step(f"`{SETUP}` in the guest", SETUP)] if setup else [install]


def prepared(
    cache: Cache, progress: Progress, guest: Guest, wheel: Wheel, hardware: Hardware, *, setup: bool
) -> Path:
    """Return the qcow2 of a guest with virtsec, above ``guest``'s image.

    Raises LabError with the command's output when a step fails.
    """
    hardware = replace(hardware, memory=Hardware.memory, wire=None)
    if not setup and not hardware.lsm.confines:
        # Where nothing labels files, installing does the same under each: one layer serves all.
        hardware = replace(hardware, lsm=Lsm.NONE)
    todo = steps(setup=setup)
    key = digest(
        guest.key,
        wheel.key,
        hardware.kernel.key,
        hardware.kernel_line(),
        *(step.command for step in todo),
    )

    def build(into: Path) -> None:
        job = into / "job.img"
        job_disk(job, lambda payload: _copy(wheel.path, payload))
        progress.stage(f"booting a guest to put virtsec in ({hardware.lsm})")
        with powered_on(
            hardware,
            into / "root.qcow2",
            job,
            into / "console.log",
            fresh_root=lambda root: overlay(guest.image, root, base_format="raw"),
            progress=progress,
        ) as machine:
            for step in todo:
                progress.stage(step.what)
                said = bytearray()
                status = machine.run(["sh", "-c", step.command], sink=said.extend).status
                if status != 0:
                    text = said.decode(errors="replace").rstrip()
                    raise LabError(f"{step.what} failed with status {status}:\n{text}")
            progress.stage("shutting that guest down")
            machine.halt()
        job.unlink()

    return cache.entry("prepared", key, build, keep=KEEP) / "root.qcow2"


def _copy(wheel: Path, payload: Path) -> None:
    shutil.copy(wheel, payload)
