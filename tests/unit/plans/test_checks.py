"""What a spec must keep to: each mistake one sentence, before anything is done."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.samples import SAMPLES, sample
from virtsec.domain.checks import check_spec, gateway_on
from virtsec.errors import BadInput, Refused, VirtsecError
from virtsec.spec import Limits, Mount, Network, NetworkKind


def path(text: str) -> PurePosixPath:
    return PurePosixPath(text)


def static(*addresses: str, gateway: str | None = None) -> Network:
    return Network(
        addresses=tuple(map(ip_interface, addresses)),
        gateway=None if gateway is None else ip_address(gateway),
    )


@pytest.mark.parametrize("name", SAMPLES)
def test_each_sample_is_sound(name: str) -> None:
    check_spec(SAMPLES[name].spec)


@pytest.mark.parametrize(("source", "target"), [("/srv", "/proc/x"), ("/sys", "/mnt")])
def test_nothing_of_the_kernels_is_mounted_nor_mounted_over(source: str, target: str) -> None:
    with pytest.raises(Refused):
        check_spec(sample("vs1", mounts=(Mount(path(source), path(target)),)).spec)


def test_the_hosts_tree_may_be_shown_inside() -> None:
    check_spec(sample("vs1", mounts=(Mount(path("/"), path("/mnt")),)).spec)


@pytest.mark.parametrize(
    "words",
    [
        {"name": "Vs1"},
        {"limits": Limits(memory_mib=15)},
        {"limits": Limits(memory_mib=2**40)},
        {"limits": Limits(swap_mib=-1)},
        {"limits": Limits(vcpus=0)},
        {"limits": Limits(vcpus=5000)},
        {"limits": Limits(pids=15)},
        {"limits": Limits(cpu_shares=0)},
        {"limits": Limits(io_weight=10_001)},
        {"rootfs": path("srv/vs1")},
        {"rootfs": path("/srv/../etc")},
        {"rootfs": path("//srv/vs1")},
        {"rootfs": path("/srv/a\nb")},
        {"rootfs": path("/srv/\udcff")},
        {"rootfs": path("/srv/" + "é" * 128)},
        {"source": "/srv/" + "a" * 256},
        {"source": "/srv" + "/a" * 2046},
        {"mounts": (Mount(path("/" + "a" * 256), path("/mnt")),)},
        {"source": ""},
        {"source": "/srv/a\x00b"},
        {"init": path("sbin/init")},
        {"init": path("/")},
        {"init_args": ("",)},
        {"init_args": ("a\x1bb",)},
        {"mounts": (Mount(path("srv"), path("/mnt")),)},
        {"mounts": (Mount(path("/srv"), path("mnt")),)},
        {"mounts": (Mount(path("/srv"), path("/")),)},
        {"mounts": (Mount(path("/srv"), path("/mnt/../..")),)},
        {"mounts": (Mount(path("/a"), path("/mnt")), Mount(path("/b"), path("/mnt")))},
        {"network": Network(NetworkKind.NONE, "", (ip_interface("10.0.0.2/24"),))},
        {"network": Network(NetworkKind.BRIDGE, "a-name-of-16-chr")},
        {"network": Network(NetworkKind.BRIDGE, "br/0")},
        {"network": Network(NetworkKind.NETWORK, "")},
        {"network": static("192.168.122.0/24")},
        {"network": static("192.168.122.255/24")},
        {"network": static("127.0.0.1/8")},
        {"network": static("224.0.0.1/24")},
        {"network": static("0.0.0.0/0")},
        {"network": static("255.255.255.255/32")},
        {"network": static("ff02::1/64")},
        {"network": static("::/64")},
        {"network": static("192.168.122.10/24", "192.168.122.10/25")},
        {"network": static(gateway="192.168.122.1")},
        {"network": static("192.168.122.10/24", gateway="10.0.0.1")},
        {"network": static("192.168.122.10/24", gateway="192.168.122.10")},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_one_sentence(words: dict[str, object]) -> None:
    with pytest.raises(BadInput) as error:
        check_spec(sample(**{"name": "vs1", **words}).spec)  # type: ignore[arg-type]
    assert error.value.sentence
    assert error.value.sentence.isprintable()


@pytest.mark.parametrize(
    "root", ["/", "/usr", "/usr/local/vs1", "/etc/vs1", "/var/lib", "/home", "/var/lib/virtsec"]
)
def test_the_hosts_own_trees_are_never_relabelled_as_a_root(root: str) -> None:
    with pytest.raises(Refused):
        check_spec(sample("vs1", rootfs=path(root)).spec)


@pytest.mark.parametrize("address", ["10.0.0.0/31", "10.0.0.1/31", "10.0.0.9/32", "fd00::/127"])
def test_links_of_two_may_use_both_addresses(address: str) -> None:
    check_spec(sample("vs1", network=static(address)).spec)


@given(st.text(), st.text(), st.text())
@settings(deadline=None)
def test_any_text_is_taken_or_told(name: str, root: str, argument: str) -> None:
    try:
        spec = sample(name, rootfs=path(root), init_args=(argument,)).spec
        check_spec(spec)
    except VirtsecError as error:
        assert error.sentence


def test_the_gateway_is_the_hosts_address_in_reach() -> None:
    host = (ip_interface("fd00::1/64"), ip_interface("192.168.122.1/24"))
    assert gateway_on((ip_interface("fd00::a/64"),), host) == ip_address("fd00::1")
    both = (ip_interface("fd00::a/64"), ip_interface("192.168.122.9/24"))
    assert gateway_on(both, host) == ip_address("192.168.122.1")
    assert gateway_on((ip_interface("10.0.0.9/24"),), host) is None
