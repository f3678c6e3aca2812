"""IPv6 between the containers, which libvirt's default network has not by itself."""

from demo.containers import Container
from demo.shell import run

ROUTER = "fd00:5ec::1"
ADDRESSES = {"vs1": "fd00:5ec::1:1", "vs2": "fd00:5ec::1:2", "vs3": "fd00:5ec::1:3"}


def give_addresses(*containers: Container) -> None:
    """Have the host and each of `containers` its address of IPv6."""
    run("sysctl", "-q", "-w", "net.ipv6.conf.virbr0.disable_ipv6=0")
    run("ip", "address", "replace", f"{ROUTER}/64", "dev", "virbr0", "nodad")
    for each in containers:
        each.ssh(f"ip address replace {ADDRESSES[each.name]}/64 dev eth0 nodad")
