"""What a host must have before virtsec can do anything there, and what `virtsec setup` adds."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from virtsec.errors import HostNotReady, VirtsecError
from virtsec.host.files import compiled, find, marked
from virtsec.host.places import Places
from virtsec.runtime import CONTROLLER_MODULES, HOOK_MODULES

if TYPE_CHECKING:
    from virtsec.step import Host

EXECUTABLE, READABLE = 0o755, 0o644

NOT_SET_UP = "This host is not set up for containers yet."


def check_kernel(places: Places) -> None:
    """Raise `HostNotReady` when the kernel lacks what every container needs."""
    if not places.cgroup_controllers.exists():
        raise HostNotReady(
            "This host does not use cgroup version 2.",
            "Boot it without systemd.unified_cgroup_hierarchy=0 on the kernel's command line.",
        )
    try:
        allowed = int(places.user_namespaces.read_text())
    except (OSError, ValueError):
        allowed = 0
    if not allowed:
        raise HostNotReady(
            "This host's kernel allows no user namespaces, which keep root inside from being root.",
            "Set the sysctl user.max_user_namespaces, for example to 10000.",
        )


def check_network_parts(places: Places, defined: bool) -> None:
    """Raise `HostNotReady` when libvirt could not bring its network up."""
    if not places.dnsmasq.exists():
        raise HostNotReady(
            "dnsmasq, which gives containers on libvirt's network their addresses, is missing.",
            "Install it (`apt install dnsmasq-base`), or use `virtsec setup --no-network`.",
        )
    if not defined and not places.network_template.exists():
        raise HostNotReady(
            "libvirt's network 'default' is not defined, and its definition is not installed.",
            "Install it (`apt install libvirt-daemon-config-network`), "
            "or use `virtsec setup --no-network`.",
        )


def installed(places: Places) -> bool:
    """Whether setup was run: the controller is the last thing it installs. Needs no root."""
    return places.controller.exists() and places.hook.exists()


def begun(places: Places) -> bool:
    """Whether anything of what setup installs to be run is there."""
    return places.controller.exists() or places.hook.exists()


def readiness(host: Host, places: Places | None = None) -> list[str]:
    """What `virtsec setup` would still have to do, as phrases; empty when the host is ready."""
    places = places or Places()
    missing = []
    if (policy := host.mac.ready()) is not None:
        missing.append(policy)
    for part in runtime(places):
        missing += _missing(part)
    return list(dict.fromkeys(missing))


def check_ready(host: Host, places: Places | None = None) -> None:
    """Raise `HostNotReady` naming what `readiness` found, where setup was ever run."""
    places = places or Places()
    missing = readiness(host, places)
    if missing:
        listed = f"This host is not ready for containers: {'; '.join(missing)}."
        raise HostNotReady(listed if begun(places) else NOT_SET_UP, "Run `virtsec setup`.")


def _missing(part: Part) -> list[str]:
    try:
        found = find(part.path)
    except VirtsecError:
        return [f"{part.path} is not a file"]
    if found is None:
        return [f"{part.what} is not installed"]
    return [] if found.content == part.content else [f"{part.what} is not this version's"]


@dataclass(frozen=True, slots=True)
class Part:
    """A file that runs when a container starts, as setup installs it."""

    what: str  #: in a sentence
    path: Path
    content: bytes = field(repr=False)
    mode: int


def hook(places: Places) -> Part:
    """What libvirt runs."""
    return Part("libvirt's hook", places.hook, _runtime("hook.py"), EXECUTABLE)


def controller(places: Places) -> Part:
    """What containers name as `<emulator>`."""
    return Part("the controller", places.controller, _runtime("controller.py"), EXECUTABLE)


def modules(
    places: Places, names: tuple[str, ...] = (*HOOK_MODULES, *CONTROLLER_MODULES)
) -> list[Part]:
    """What these two import, or those of it with these names."""
    what = "what hook and controller import"
    return [
        Part(what, places.modules / f"{name}.py", _runtime(f"{name}.py"), READABLE)
        for name in dict.fromkeys(names)
    ]


def kernel_modules(places: Places) -> Part:
    """What has the kernel have overlayfs before a container on a base starts.

    The controller mounts it, and SELinux lets none that libvirt starts have a module loaded.
    """
    content = marked(b"# Bases of containers are mounted by it.\noverlay\n")
    return Part("the list of kernel modules", places.kernel_modules, content, READABLE)


def runtime(places: Places) -> list[Part]:
    """All that has to be there, as this version has it, for a container to start."""
    return [hook(places), controller(places), kernel_modules(places), *modules(places)]


def kept_at(places: Places, module: Path) -> Path:
    """Where Python keeps the compiled form of a module."""
    return places.compiled / f"{module.stem}.{sys.implementation.cache_tag}.pyc"


def kept_compiled(places: Places) -> list[Part]:
    """What spares Python the compiling of `modules` at each start; nothing depends on it."""
    return [
        Part(
            f"{part.what}, compiled",
            kept_at(places, part.path),
            compiled(part.content, part.path),
            READABLE,
        )
        for part in modules(places)
    ]


def _runtime(name: str) -> bytes:
    return marked((Path(__file__).parents[1] / "runtime" / name).read_bytes())
