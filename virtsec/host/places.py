"""Where on a host virtsec's own files are, and what of the host's it uses.

A `Places` with another prefix and owner is a host inside a directory: the tests' one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from virtsec.runtime import start
from virtsec.spec import STORE

#: Where the hook is; libvirt takes the scripts of lxc.d in byte order.
HOOK = "/etc/libvirt/hooks/lxc.d/50-virtsec"
#: What containers name as `<emulator>`; the hook accepts no other.
CONTROLLER = start.CONTROLLER


@dataclass(frozen=True, slots=True)
class Places:
    """Absolute paths beneath `prefix`; `uid` and `gid` own what is installed there."""

    prefix: Path = Path("/")
    uid: int = 0
    gid: int = 0

    def at(self, path: str) -> Path:
        """`path`, which is absolute, beneath the prefix."""
        return self.prefix / path.lstrip("/")

    @property
    def hook(self) -> Path:
        """What libvirt runs at each start."""
        return self.at(HOOK)

    @property
    def hook_directory(self) -> Path:
        """libvirt's directory of hooks for LXC (https://libvirt.org/hooks.html)."""
        return self.hook.parent

    @property
    def controller(self) -> Path:
        """What containers name as `<emulator>`."""
        return self.at(CONTROLLER)

    @property
    def modules(self) -> Path:
        """What hook and controller import."""
        return self.controller.parent

    @property
    def compiled(self) -> Path:
        """What Python keeps of those modules."""
        return self.modules / "__pycache__"

    @property
    def store(self) -> Path:
        """Roots of containers."""
        return self.at(str(STORE))

    @property
    def runtime(self) -> Path:
        """The lock that commands hold; gone with the next boot."""
        return self.at("/run/virtsec")

    @property
    def settings(self) -> Path:
        """The administrator's own files."""
        return self.at("/etc/virtsec")

    @property
    def kernel_modules(self) -> Path:
        """What the host's kernel loads at each boot for containers (modules-load.d(5))."""
        return self.at("/etc/modules-load.d/virtsec.conf")

    @property
    def network_template(self) -> Path:
        """libvirt's shipped definition of its network `default`."""
        return self.at("/usr/share/libvirt/networks/default.xml")

    @property
    def forwarding(self) -> Path:
        """The kernel's switch for routing IPv4 (Documentation/networking/ip-sysctl)."""
        return self.at("/proc/sys/net/ipv4/ip_forward")

    @property
    def interfaces(self) -> Path:
        """The host's network interfaces; a bridge has a directory `bridge` in its own."""
        return self.at("/sys/class/net")

    @property
    def dnsmasq(self) -> Path:
        """What libvirt runs to give addresses on its networks."""
        return self.at("/usr/sbin/dnsmasq")

    @property
    def cgroup_controllers(self) -> Path:
        """Exists where cgroup version 2 is mounted as the one hierarchy."""
        return self.at("/sys/fs/cgroup/cgroup.controllers")

    @property
    def user_namespaces(self) -> Path:
        """How many user namespaces the kernel allows (namespaces(7))."""
        return self.at("/proc/sys/user/max_user_namespaces")
