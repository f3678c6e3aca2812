"""What the laboratory's commands do: get a guest ready, boot it, run something in it."""

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from . import deb, host, wheel
from .boot import Machine, job_disk, powered_on
from .cache import Cache
from .errors import LabError
from .guest import guest
from .kernel import kernel_for
from .prepared import prepared
from .progress import Progress
from .qemu import MEMORY, Hardware, Lsm, overlay
from .terminal import Terminal


@dataclass(frozen=True)
class Request:
    """Which guest is wanted."""

    lsm: Lsm
    permissive: bool = False
    memory: str = MEMORY
    setup: bool = True
    wheel: Path | None = None
    """A wheel to install instead of the checkout's own."""
    own_kernel: bool = False
    """Boot SELinux too on the kernel that is built for Smack."""
    wire: Path | None = None
    """A way into the guest, see ``Hardware``."""
    bare: bool = False
    """Have nothing of virtsec's in it, but its packages beside the files that are put there."""


@dataclass
class Laboratory:
    """The cache, and someone to tell what is being done."""

    cache: Cache = field(default_factory=Cache)
    progress: Progress = field(default_factory=Progress)

    @contextmanager
    def machine(
        self, request: Request, fill: Callable[[Path], None], console_log: Path | None = None
    ) -> Iterator[Machine]:
        """Give a fresh guest with virtsec that is up and has ``fill``'s files in /root/lab.

        One that is to be bare has virtsec's wheel and Debian package there too.
        """
        host.require(host.BOOT + host.IMAGES, self.progress)
        with self.cache.scratch() as scratch:
            image = guest(self.cache, self.progress)
            hardware = Hardware(
                kernel_for(request.lsm, image, self.cache, self.progress, own=request.own_kernel),
                request.lsm,
                request.permissive,
                request.memory,
                request.wire,
            )
            built = (
                wheel.existing(request.wheel)
                if request.wheel
                else wheel.build(self.cache, self.progress, scratch)
            )
            if request.bare:
                base, base_format = image.image, "raw"
                packages = [built.path, deb.build(self.cache, self.progress)]
            else:
                base = prepared(
                    self.cache, self.progress, image, built, hardware, setup=request.setup
                )
                base_format, packages = "qcow2", []
            job = scratch / "job.img"

            def fill_all(payload: Path) -> None:
                fill(payload)
                for package in packages:
                    shutil.copy(package, payload)

            job_disk(job, fill_all)
            mode = ", permissive" if request.permissive else ""
            self.progress.stage(f"booting the guest ({request.lsm}{mode})")
            with powered_on(
                hardware,
                scratch / "root.qcow2",
                job,
                console_log or scratch / "console.log",
                fresh_root=lambda root: overlay(base, root, base_format=base_format),
                progress=self.progress,
            ) as machine:
                yield machine


def run_script(
    laboratory: Laboratory,
    request: Request,
    script: Path,
    arguments: Sequence[str] = (),
    beside: Sequence[Path] = (),
) -> int:
    """Run ``script`` in a fresh guest, its output on our own, and return its exit status."""
    if not script.is_file():
        raise LabError(f"{script}: no such script")
    for path in beside:
        if not path.exists():
            raise LabError(f"{path}: no such file or directory")

    def fill(payload: Path) -> None:
        for path in beside:
            if path.is_dir():
                shutil.copytree(path, payload / path.resolve().name, symlinks=True)
            else:
                shutil.copy(path, payload)
        copy = payload / script.name
        shutil.copy(script, copy)
        copy.chmod(0o755)

    with laboratory.machine(request, fill) as machine:
        while True:
            laboratory.progress.stage(f"running {script}")
            end = machine.run(
                [*_interpreter(script), f"/root/lab/{script.name}", *arguments],
                env=environment(request),
                sink=to_stdout,
            )
            if not end.again:
                return end.status
            laboratory.progress.stage(f"{end.again} of the guest, as the script asked")
            machine.reboot(end.again)


def run_shell(laboratory: Laboratory, request: Request) -> int:
    """Give a root shell in a fresh guest on our own terminal; return its exit status."""
    with laboratory.machine(request, lambda _: None) as machine:
        laboratory.progress.stage("a root shell; leave it by exit, or at any time by Ctrl-]")
        return machine.run(
            ["bash", "--login"],
            env={**environment(request), "TERM": "xterm-256color"},
            sink=to_stdout,
            terminal=Terminal(),
        ).status


def environment(request: Request) -> Mapping[str, str]:
    """Return what a script finds in its environment beside what a log-in sets."""
    return {
        "LAB_LSM": request.lsm,
        "LAB_PERMISSIVE": "1" if request.permissive else "",
        "LAB_BARE": "1" if request.bare else "",
    }


def to_stdout(data: bytes) -> None:
    """Pass on output as it comes."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _interpreter(script: Path) -> Sequence[str]:
    """Return what to put before ``script``: nothing where it names its own interpreter."""
    with script.open("rb") as content:
        start = content.read(4)
    return [] if start.startswith(b"#!") or start == b"\x7fELF" else ["/bin/sh"]
