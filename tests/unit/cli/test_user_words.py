"""Words of the command line as parts of a spec."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address, ip_interface
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.cli.library import Library, Said
from virtsec import words
from virtsec.errors import BadInput, VirtsecError
from virtsec.spec import (
    ContainerSpec,
    InitPolicy,
    Limits,
    Link,
    Mount,
    Network,
    NetworkKind,
    Transport,
)


@pytest.mark.parametrize(
    ("text", "mib"),
    [("512M", 512), ("1G", 1024), ("2GiB", 2048), ("512", 512), ("1048576k", 1024), ("1t", 2**20)],
)
def test_memory_is_read_in_the_units_people_write(text: str, mib: int) -> None:
    assert words.memory(text) == mib


@pytest.mark.parametrize("text", ["", "0", "-1G", "1.5G", "1X", "1k", "G", "1 G 2", "٣G"])
def test_what_is_no_amount_of_whole_mib_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        words.memory(text)


def test_mounts() -> None:
    here, there = PurePosixPath("/srv/a"), PurePosixPath("/mnt")
    assert words.mount("/srv/a:/mnt") == Mount(here, there)
    assert words.mount("/srv/a:/mnt:rw") == Mount(here, there)
    assert words.mount("/srv/a:/mnt:ro") == Mount(here, there, read_only=True)
    assert words.mount(r"/a\:b:/c\:ro") == Mount(PurePosixPath("/a:b"), PurePosixPath("/c:ro"))
    assert words.mount(r"/a\b:/c\\:ro").source == PurePosixPath(r"/a\b")


@pytest.mark.parametrize(
    "text", ["/a", "a:/b", "/a:b", "/a:/b:rx", "/a:/b:ro:ro", "", ":/b", "/a:ro", r"/a\:/b"]
)
def test_what_is_no_mount_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        words.mount(text)


def test_one_way_to_the_network() -> None:
    assert words.network(None, None, False, (), None) == Network()
    assert words.network(None, None, True, (), None).kind is NetworkKind.NONE
    assert words.network(None, "br0", False, (), None) == Network(NetworkKind.BRIDGE, "br0")
    assert words.network("lan", None, False, ["fd00::2/64"], "fd00::1") == Network(
        NetworkKind.NETWORK, "lan", (ip_interface("fd00::2/64"),), ip_address("fd00::1")
    )


def test_every_option_of_define_reaches_the_spec(
    virtsec: Callable[..., Said], library: Library
) -> None:
    words = (
        "define vs1 --from debian:trixie --rootfs /srv/vs1 --privileged --memory 1G --vcpus 2 "
        "--bridge br0 --address 10.0.0.2/8 --address fd00::2/64 --gateway 10.0.0.1 "
        "--mount /srv/a:/mnt:ro --mount /srv/b:/b --init /bin/init --init-arg a --init-arg=-b "
        "--init-policy pristine --autostart"
    )
    assert virtsec(*words.split()).status == 0
    assert library.asked == [
        (
            "define",
            ContainerSpec(
                name="vs1",
                rootfs=PurePosixPath("/srv/vs1"),
                source="debian:trixie",
                privileged=True,
                limits=Limits(memory_mib=1024, vcpus=2),
                network=Network(
                    NetworkKind.BRIDGE,
                    "br0",
                    (ip_interface("10.0.0.2/8"), ip_interface("fd00::2/64")),
                    ip_address("10.0.0.1"),
                ),
                mounts=(
                    Mount(PurePosixPath("/srv/a"), PurePosixPath("/mnt"), read_only=True),
                    Mount(PurePosixPath("/srv/b"), PurePosixPath("/b")),
                ),
                init=PurePosixPath("/bin/init"),
                init_args=("a", "-b"),
                init_policy=InitPolicy.PRISTINE,
                autostart=True,
            ),
        )
    ]


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("5432/tcp", Link("db", 5432)),
        ("5432", Link("db", 5432)),
        ("53/udp", Link("db", 53, Transport.UDP)),
        ("65535/udp", Link("db", 65535, Transport.UDP)),
    ],
)
def test_a_port_of_a_link_is_tcp_unless_it_says_udp(text: str, link: Link) -> None:
    assert words.link("db", text) == link


@pytest.mark.parametrize(
    "text", ["0", "65536", "-1", "", "/tcp", "80/", "http", "80/sctp", "8 0", "٣"]
)
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        words.link("db", text)


READERS = (
    words.memory, words.swap, words.mount, words.address, words.gateway, words.apart_by,
    words.egress, words.exposed, words.init_policy, words.inside, words.moment,
)  # fmt: skip
PIECES = [
    *(
        "9" * 400,
        "9" * 5000,
        "k",
        "M",
        "512",
        "0",
        ":",
        "/",
        ",",
        "ro",
        "idmap",
        "%",
        "-",
        "é",
        "٣",
    ),
    *("192.168.122.10", "fd00::1", "2026-11-28", "12:30", "T", "+99:00", "0001-01-01", "\n", " "),
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=6).map("".join)))
def test_whatever_somebody_writes_is_understood_or_told_in_a_sentence(text: str) -> None:
    for reader in READERS:
        try:
            reader(text)
        except VirtsecError as error:
            assert error.sentence


@pytest.mark.parametrize("text", ["9" * 5000, "9" * 400 + "k", "9" * 21 + "M"])
def test_no_amount_of_memory_is_too_long_to_be_refused(text: str) -> None:
    with pytest.raises(BadInput, match="not an amount of memory"):
        words.memory(text)
