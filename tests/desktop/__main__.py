"""virt-manager on a screen of its own, connected to the libvirt of an emulated guest.

    python3 -m tests.desktop [--lsm smack] PICTURE

`guest.py` runs in the guest and `story.py` here. PICTURE is written only when both end well.
Exit status: 0, 1 when something was not as it should be, 125 when the laboratory is at fault.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.machine import host
from tests.lab.machine.boot import Machine
from tests.lab.machine.errors import LAB_FAILED, LabError
from tests.lab.machine.qemu import Lsm
from tests.lab.machine.run import bound_to_us
from tests.lab.machine.session import Laboratory, Request, environment, to_stdout

HERE = Path(__file__).parent
OURS, THEIRS, MIB = "vs1", "theirs", "384"
SCREEN = "1600x900x24"


@contextmanager
def screen(scratch: Path) -> Iterator[dict[str, str]]:
    """A display that nobody looks at; gives the environment of what is to be shown there."""
    said, says = os.pipe()
    words = ["Xvfb", "-displayfd", str(says), "-screen", "0", SCREEN, "-nolisten", "tcp"]
    shown = subprocess.Popen(bound_to_us(words, "TERM"), pass_fds=[says], stderr=subprocess.DEVNULL)
    os.close(says)
    try:
        with os.fdopen(said) as number:
            display = f":{number.readline().strip()}"
        for name in ("home", "runtime"):
            (scratch / name).mkdir(0o700)
        yield {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "DISPLAY": display,
            "HOME": str(scratch / "home"),
            "XDG_RUNTIME_DIR": str(scratch / "runtime"),
            "GSETTINGS_BACKEND": "memory",
        }
    finally:
        shown.terminate()
        shown.wait()


class Story:
    """`story.py` beside the guest's relay, which it lives as long as."""

    def __init__(self, machine: Machine, words: list[str], env: dict[str, str]) -> None:
        self._machine, self._words, self._env = machine, words, env
        self._running: subprocess.Popen[bytes] | None = None
        self._ended = False

    def look(self, _: bytes) -> None:
        """Begin once the relay says something; have it end once we have."""
        if self._running is None:
            self._running = subprocess.Popen(
                bound_to_us(self._words, "TERM"), env=self._env, cwd=HERE.parents[1]
            )
        elif not self._ended and self._running.poll() is not None:
            self._ended = True
            self._machine.send_signal(signal.SIGTERM)

    @property
    def status(self) -> int:
        """What it ended with."""
        return LAB_FAILED if self._running is None else self._running.wait()


def tell(lsm: Lsm, picture: Path, scratch: Path) -> int:
    """The exit status of all of it."""
    laboratory = Laboratory()
    host.require(host.DESKTOP, laboratory.progress)
    wire, fresh = scratch / "libvirt", scratch / "picture.png"
    request = Request(lsm, wire=wire)

    def fill(payload: Path) -> None:
        shutil.copy(HERE / "guest.py", payload)

    def guest(what: str) -> list[str]:
        return ["/usr/bin/python3", "guest.py", what, OURS, THEIRS, MIB]

    with laboratory.machine(request, fill) as machine, screen(scratch) as env:
        laboratory.progress.stage("making a container, and a foreign one")
        env_inside = environment(request)
        if status := machine.run(guest("prepare"), env=env_inside, sink=to_stdout).status:
            return status
        laboratory.progress.stage("virt-manager")
        words = [*("dbus-run-session", "--"), "/usr/bin/python3", "-m", "tests.desktop.story"]
        words += [f"lxc+unix:///?socket={wire}", OURS, THEIRS, MIB, str(fresh)]
        story = Story(machine, words, env)
        machine.run(guest("relay"), env=env_inside, sink=story.look)
        if story.status:
            failed = fresh.with_suffix(".png.failed.png")
            if failed.exists():
                kept = shutil.copy(failed, picture.with_suffix(".failed.png"))
                print(f"what was on the screen is in {kept}", file=sys.stderr)
            return 1
        laboratory.progress.stage("what it changed, at the next start")
        if status := machine.run(guest("check"), env=env_inside, sink=to_stdout).status:
            return status
    shutil.copy(fresh, picture)
    return 0


def main() -> int:
    """Read the words, and tell it."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.desktop", description=__doc__)
    parser.add_argument("--lsm", type=Lsm, default=Lsm.SELINUX, choices=list(Lsm))
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="virtsec-desktop-") as scratch:
            return tell(options.lsm, options.picture, Path(scratch))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return LAB_FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
