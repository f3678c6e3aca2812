"""Guests that are up, kept as layers above the guest's own image: one as booted, one with virtsec.

A layer is a root disk and the machine's memory at one moment. A guest that goes on from there is
fresh all the same, and there within seconds, where a boot takes a minute.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .boot import AGENT, JOB_SIZE, Machine, job_disk, powered_on
from .cache import Cache, digest
from .errors import LabError
from .guest import Guest
from .progress import Progress
from .qemu import Hardware, overlay, version
from .wheel import Wheel

# As an administrator installs a wheel on Debian: libraries are the distribution's.
INSTALL = (
    "python3 -m pip install --no-deps --no-index --break-system-packages "
    "--root-user-action=ignore --quiet *.whl && rm *.whl"
)
SETUP = "virtsec setup"

KEEP = 6
"""How many layers to keep of each kind; one is some 300 MB."""


@dataclass(frozen=True)
class Step:
    """One command of the preparation, run by sh."""

    what: str
    command: str


# Units that are still starting when the agent is up are part of a booted machine too.
SETTLE = Step("waiting for all of the guest to be up", "systemctl is-system-running --wait; true")


@dataclass(frozen=True)
class Layer:
    """A guest at one moment."""

    key: str
    home: Path

    @property
    def root(self) -> Path:
        """The root disk, a qcow2 above others."""
        return self.home / "root.qcow2"

    @property
    def memory_image(self) -> Path:
        """The memory, and the state of all devices."""
        return self.home / "memory.zst"

    def powered_on(
        self,
        hardware: Hardware,
        scratch: Path,
        console_log: Path,
        fill: Callable[[Path], None],
        progress: Progress,
    ) -> Machine:
        """Start a guest that goes on from here, with disks in ``scratch``. Raises GuestDied."""
        job = scratch / "job.img"
        job_disk(job, fill)
        return powered_on(
            hardware,
            scratch / "root.qcow2",
            job,
            console_log,
            fresh_root=lambda root: overlay(self.root, root, base_format="qcow2"),
            memory_image=self.memory_image,
            progress=progress,
        )


def booted(cache: Cache, progress: Progress, guest: Guest, hardware: Hardware) -> Layer:
    """Return ``guest`` as it is when it has booted. Raises LabError."""
    key = digest(
        guest.key,
        hardware.kernel.key,
        *hardware.command(Path(), Path(), Path(), {}, -1, None),
        version(),
        AGENT,
        JOB_SIZE,
        SETTLE.command,
    )

    def build(into: Path) -> None:
        progress.stage(f"booting the guest once ({hardware.says()})")
        job = into / "job.img"
        job_disk(job, lambda _: None)
        with powered_on(
            hardware,
            into / "root.qcow2",
            job,
            into / "console.log",
            fresh_root=lambda root: overlay(guest.image, root, base_format="raw"),
            progress=progress,
        ) as machine:
            do(machine, SETTLE, progress)
            progress.stage("saving it")
            machine.save(into / "memory.zst")
        job.unlink()

    return Layer(key, cache.entry("booted", key, build, keep=KEEP))


def prepared(
    cache: Cache, progress: Progress, base: Layer, wheel: Wheel, hardware: Hardware, *, setup: bool
) -> Layer:
    """Return the guest ``base`` with virtsec installed and, if wanted, set up.

    Raises LabError with the command's output when a step fails.
    """
    steps = [Step("installing virtsec in the guest", INSTALL)]
    if setup:
        steps.append(Step(f"`{SETUP}` in the guest", SETUP))
    key = digest(base.key, wheel.key, *(step.command for step in steps))

    def build(into: Path) -> None:
        def fill(payload: Path) -> None:
            shutil.copy(wheel.path, payload)

        with base.powered_on(hardware, into, into / "console.log", fill, progress) as machine:
            for step in steps:
                do(machine, step, progress)
            progress.stage("saving it")
            machine.save(into / "memory.zst")
        (into / "job.img").unlink()

    return Layer(key, cache.entry("prepared", key, build, keep=KEEP))


def do(machine: Machine, step: Step, progress: Progress) -> None:
    """Run ``step`` in the guest. Raises LabError with what it said when it fails."""
    progress.stage(step.what)
    said = bytearray()
    status = machine.run(["sh", "-c", step.command], sink=said.extend).status
    if status != 0:
        text = said.decode(errors="replace").rstrip()
        raise LabError(f"{step.what} failed with status {status}:\n{text}")
