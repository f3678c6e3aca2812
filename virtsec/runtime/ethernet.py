"""The Ethernet addresses that a container's XML names, seen to before it gets its interfaces.

libvirt makes each a pair of interfaces and writes the address to the end that the container gets.
udev gives an interface an address of its own making that has none but a random one yet
(systemd.link(5), MACAddressPolicy=). Where it looks before libvirt writes, and writes after it, the
container would come up with udev's: at another address by DHCP than libvirt, and whoever asks it,
believes it is at. So what libvirt wrote is looked at once more when udev is done with it, to which
udev does not come back.
"""

import _struct
import fcntl
import pyexpat
import time
from _socket import AF_UNIX, SOCK_DGRAM, socket

from .system import exists, read

STATE = "/run/libvirt/lxc"  # what libvirt_lxc, too, reads of the container that it is to start
NET, DONE = "/sys/class/net", "/run/udev/data/n"  # and the number of what udev is done with
MAC = ["domstatus", "domain", "devices", "interface", "mac"]
SIOCSIFHWADDR, ARPHRD_ETHER, IFREQ = 0x8924, 1, "16sH6s16x"  # sockios.h, if_arp.h, netdevice(7)
PATIENCE, MOMENT = 2, 0.005  # seconds: for udev, which needs hundredths; between two looks


def keep_addresses(name: str, interfaces: list[str]) -> None:
    """Give the interfaces that libvirt made for container `name` the addresses that it names."""
    until = time.monotonic() + PATIENCE
    for interface, address in zip(interfaces, addresses_of(name), strict=True):
        number = read(f"{NET}/{interface}/ifindex").strip()
        while not exists(f"{DONE}{number}") and time.monotonic() < until:
            time.sleep(MOMENT)
        if read(f"{NET}/{interface}/address").strip() != address:
            parts = interface.encode(), ARPHRD_ETHER, bytes.fromhex(address.replace(":", ""))
            fcntl.ioctl(socket(AF_UNIX, SOCK_DGRAM), SIOCSIFHWADDR, _struct.pack(IFREQ, *parts))


def addresses_of(name: str) -> list[str]:
    """The addresses of a container's interfaces, in their order, as libvirt has written them."""
    path: list[str] = []
    found: list[str] = []

    def start(element: str, attributes: dict[str, str]) -> None:
        path.append(element)
        if path == MAC:
            found.append(attributes["address"])

    parser = pyexpat.ParserCreate("utf-8", " ")  # a name in a namespace is 'URI NAME'
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: path.pop()
    parser.Parse(read(f"{STATE}/{name}.xml"), True)
    return found
