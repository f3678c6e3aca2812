"""What a host must have before virtsec can do anything there, and what `virtsec setup` adds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from virtsec.errors import HostNotReady, VirtsecError
from virtsec.host.files import find, marked
from virtsec.host.places import Places

if TYPE_CHECKING:
    from virtsec.step import Host


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


def readiness(host: Host, places: Places | None = None) -> list[str]:
    """What `virtsec setup` would still have to do, as phrases; empty when the host is ready."""
    places = places or Places()
    missing = []
    if (policy := host.mac.ready()) is not None:
        missing.append(policy)
    for what, path, source in (
        ("libvirt's hook", places.hook, hook_content()),
        ("the controller", places.controller, controller_content()),
    ):
        missing += _missing(what, path, source)
    return missing


def check_ready(host: Host, places: Places | None = None) -> None:
    """Raise `HostNotReady` naming what `readiness` found."""
    if missing := readiness(host, places):
        raise HostNotReady(
            f"This host is not ready for containers: {'; '.join(missing)}.", "Run `virtsec setup`."
        )


def _missing(what: str, path: Path, content: bytes) -> list[str]:
    try:
        found = find(path)
    except VirtsecError:
        return [f"{path} is not a file"]
    if found is None:
        return [f"{what} is not installed"]
    return [] if found.content == content else [f"{what} is not this version's"]


def hook_content() -> bytes:
    """The hook as it is installed."""
    return _runtime("hook.py")


def controller_content() -> bytes:
    """The controller as it is installed."""
    return _runtime("controller.py")


def _runtime(name: str) -> bytes:
    return marked((Path(__file__).parents[1] / "runtime" / name).read_bytes())
