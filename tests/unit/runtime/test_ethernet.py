"""A container's interfaces have the addresses its XML names, whatever udev thought of meanwhile."""

from __future__ import annotations

import fcntl
import pyexpat
import time
from pathlib import Path

import pytest

from virtsec.runtime import ethernet
from virtsec.runtime.ethernet import addresses_of, keep_addresses

NAMED, OTHER = "52:54:00:0e:df:8d", "52:54:00:0e:df:8e"
UDEVS = "fe:d9:d6:d6:cd:e1"
#: As libvirt 11.3 writes it, with metadata of somebody else's that looks like what is asked for.
STATUS = f"""<domstatus state='running' reason='booted' pid='3794'>
  <domain type='lxc' id='3794'>
    <name>vs1</name>
    <metadata>
      <a:notes xmlns:a="urn:a"><devices><interface><mac address='{UDEVS}'/></interface></devices>
      </a:notes>
    </metadata>
    <devices>
      <interface type='network'>
        <mac address='{NAMED}'/>
        <target dev='vs-vs1'/>
      </interface>
      <interface type='network'>
        <mac address='{OTHER}'/>
        <target dev='vnet7'/>
      </interface>
    </devices>
  </domain>
</domstatus>
"""


class Kernel:
    """Directories in the place of the kernel's, libvirt's and udev's, and what was asked for."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.set: list[tuple[bytes, bytes]] = []
        for index, (name, address) in enumerate({"vnet6": NAMED, "vnet8": OTHER}.items(), start=6):
            (base / "net" / name).mkdir(parents=True)
            (base / "net" / name / "ifindex").write_text(f"{index}\n")
            self.has(name, address)
            self.done(index)
        (base / "vs1.xml").write_text(STATUS)

    def has(self, name: str, address: str) -> None:
        """The interface has that address."""
        (self.base / "net" / name / "address").write_text(f"{address}\n")

    def done(self, index: int) -> None:
        """udev is done with that interface."""
        (self.base / f"n{index}").touch()

    def ioctl(self, _socket: object, _request: int, ifreq: bytes) -> None:
        """What `SIOCSIFHWADDR` is given."""
        assert len(ifreq) == 40
        self.set.append((ifreq[:16].rstrip(b"\0"), ifreq[18:24]))


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel(tmp_path)
    monkeypatch.setattr(ethernet, "STATE", str(tmp_path))
    monkeypatch.setattr(ethernet, "NET", f"{tmp_path}/net")
    monkeypatch.setattr(ethernet, "DONE", f"{tmp_path}/n")
    monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
    return kernel


def test_they_are_those_of_the_interfaces_in_their_order(kernel: Kernel) -> None:
    assert addresses_of("vs1") == [NAMED, OTHER]


def test_what_is_right_is_left_alone(kernel: Kernel) -> None:
    keep_addresses("vs1", ["vnet6", "vnet8"])
    assert not kernel.set


def test_what_udev_wrote_is_undone(kernel: Kernel) -> None:
    kernel.has("vnet8", UDEVS)
    keep_addresses("vs1", ["vnet6", "vnet8"])
    assert kernel.set == [(b"vnet8", bytes.fromhex(OTHER.replace(":", "")))]


def test_udev_is_waited_for(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it writes last is what counts."""
    (kernel.base / "n7").unlink()

    def udev(_: float) -> None:
        kernel.has("vnet8", UDEVS)
        kernel.done(7)

    monkeypatch.setattr(time, "sleep", udev)
    keep_addresses("vs1", ["vnet6", "vnet8"])
    assert [name for name, _ in kernel.set] == [b"vnet8"]


def test_without_udev_a_container_starts_all_the_same(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ethernet, "PATIENCE", 0.01)
    (kernel.base / "n6").unlink()
    kernel.has("vnet6", UDEVS)
    keep_addresses("vs1", ["vnet6", "vnet8"])
    assert [name for name, _ in kernel.set] == [b"vnet6"]


@pytest.mark.parametrize("interfaces", [["vnet6"], ["vnet6", "vnet8", "vnet9"]])
def test_other_interfaces_than_the_xml_names_are_none(
    interfaces: list[str], kernel: Kernel
) -> None:
    with pytest.raises(ValueError, match="zip"):
        keep_addresses("vs1", interfaces)


@pytest.mark.parametrize(
    "text", ["", STATUS[:-20], "<!-- -->", STATUS.replace("address='52", "a='")]
)
def test_a_status_that_says_nothing_starts_nothing(text: str, kernel: Kernel) -> None:
    (kernel.base / "vs1.xml").write_text(text)
    with pytest.raises((pyexpat.ExpatError, KeyError)):
        keep_addresses("vs1", ["vnet6", "vnet8"])


def test_without_one_nothing_starts(kernel: Kernel) -> None:
    (kernel.base / "vs1.xml").unlink()
    with pytest.raises(FileNotFoundError):
        keep_addresses("vs1", ["vnet6", "vnet8"])
