"""Which kernel a guest boots: Debian's, or one with Smack that is built from Debian's source."""

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from . import apt, host
from .cache import Cache, digest
from .errors import LabError
from .guest import Guest
from .progress import Progress
from .qemu import Kernel, Lsm
from .run import run

SOURCE = "linux-source-6.12"
FRAGMENT = Path(__file__).parents[1] / "kernel/smack.config"

_OPTION = re.compile(r"(?:# )?(CONFIG_\w+)(?:=| is not set)")


def kernel_for(
    lsm: Lsm, guest: Guest, cache: Cache, progress: Progress, *, own: bool = False
) -> Kernel:
    """Return Debian's kernel, but ours for Smack or where ``own`` asks for it."""
    if lsm is Lsm.SMACK or own:
        return smack_kernel(cache, progress)
    return Kernel(guest.key, guest.kernel, guest.initrd)


def smack_kernel(cache: Cache, progress: Progress) -> Kernel:
    """Return the Smack kernel, building it when what goes in has changed."""
    key = digest(FRAGMENT, Path(__file__))

    def build(into: Path) -> None:
        host.require(host.KERNEL, progress)
        progress.stage("building the Smack kernel: Debian's source")
        tree = unpack(into)
        configure(tree)
        progress.stage("building the Smack kernel: compiling, some minutes")
        # The others on this machine come first: nobody waits for a build as for an answer.
        jobs = f"-j{os.cpu_count() or 1}"
        run(["nice", "-n", "10", "make", "--silent", jobs, "vmlinux"], cwd=tree)
        shutil.copy(tree / "vmlinux", into)
        shutil.copy(tree / ".config", into / "config")
        shutil.rmtree(tree)

    return Kernel(key, cache.entry("kernel", key, build) / "vmlinux")


def unpack(into: Path) -> Path:
    """Fetch and unpack the kernel's source; return the tree, all else is removed."""
    deb = apt.download(apt.host_source(), SOURCE, into)
    package = into / "package"
    run(["dpkg-deb", "--extract", deb, package])
    run(["tar", "-xJf", package / f"usr/src/{SOURCE}.tar.xz", "-C", into])
    shutil.rmtree(package)
    shutil.rmtree(into / "apt")
    deb.unlink()
    return into / SOURCE


def configure(tree: Path) -> None:
    """Configure ``tree`` as the fragment says, everything else off.

    Raises LabError if a line of the fragment does not hold: an option that lacks what it depends
    on is dropped in silence.
    """
    run(
        ["make", "--silent", "allnoconfig"],
        cwd=tree,
        env={"KCONFIG_ALLCONFIG": str(FRAGMENT)},
    )
    result = options((tree / ".config").read_text().splitlines())
    lost = [
        line
        for name, line in options(FRAGMENT.read_text().splitlines()).items()
        # An option that is off may also be left out, where what it depends on is off.
        if line != result.get(name, f"# {name} is not set")
    ]
    if lost:
        raise LabError(f"{FRAGMENT.name}: not in effect: {', '.join(lost)}")


def options(lines: Iterable[str]) -> dict[str, str]:
    """Return the lines that set an option or switch it off, by the option's name."""
    return {found.group(1): line for line in lines if (found := _OPTION.match(line))}
