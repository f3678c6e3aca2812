"""Exposed ports as units of systemd's."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from ipaddress import ip_interface
from pathlib import PurePosixPath
from socket import AF_INET, AF_INET6, SOCK_STREAM, socket
from typing import cast

import pytest

from tests.unit.fakes import FakeSystemd, fake_host
from virtsec.errors import BadInput
from virtsec.host import expose
from virtsec.host.expose import Expose, check_free, installed, is_exposed, units
from virtsec.spec import ContainerSpec, Exposed, Network

WEB = ContainerSpec(
    "a",
    PurePosixPath("/srv/a"),
    network=Network(addresses=(ip_interface("fd00::5/64"), ip_interface("192.0.2.5/24"))),
    exposed=(Exposed(8080, 80), Exposed(8443, 443)),
)


def test_each_port_is_a_socket_and_a_proxy_to_the_static_address() -> None:
    made = units(WEB)
    assert sorted(made) == [
        f"virtsec-expose-a-{port}.{kind}" for port in (8080, 8443) for kind in ("service", "socket")
    ]
    assert "ListenStream=8443\n" in made["virtsec-expose-a-8443.socket"]
    assert "5min 192.0.2.5:443\n" in made["virtsec-expose-a-8443.service"]


def test_without_ipv4_it_is_the_other() -> None:
    network = Network(addresses=(ip_interface("fd00::5/64"),))
    made = units(replace(WEB, network=network))
    assert "5min [fd00::5]:80\n" in made["virtsec-expose-a-8080.service"]


def test_it_is_put_and_taken_back_and_nobody_elses_is_touched() -> None:
    host = fake_host()
    files = cast(FakeSystemd, host.systemd).files
    other = replace(WEB, name="a-8080", exposed=(Exposed(80, 80),))
    Expose("a-8080", None, other).apply(host)
    before = dict(files)
    step = Expose("a", None, WEB)
    step.apply(host)
    assert is_exposed("a", WEB, host)
    assert installed("a", host) == units(WEB)
    less = replace(WEB, exposed=WEB.exposed[:1])
    Expose("a", WEB, less).apply(host)
    assert is_exposed("a", less, host)
    assert not is_exposed("a", WEB, host)
    Expose("a", WEB, less).undo(host)
    assert is_exposed("a", WEB, host)
    step.undo(host)
    assert files == before
    assert is_exposed("a", None, host)


def test_a_port_is_looked_at_on_a_kernel_without_ipv6_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def made(family: int, kind: int) -> socket:
        if family == AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return socket(family, kind)

    monkeypatch.setattr(expose, "socket", made)
    assert_told_while_taken(AF_INET, "127.0.0.1")


def test_a_port_that_is_taken_is_told() -> None:
    assert_told_while_taken(AF_INET6, "::")


def assert_told_while_taken(family: int, address: str) -> None:
    """A port at which somebody listens there is told, and free when nobody does."""
    with socket(family, SOCK_STREAM) as other:
        other.bind((address, 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BadInput, match=f"Port {port} of this host cannot be listened on"):
            check_free([Exposed(port, 80)])
    check_free([Exposed(port, 80)])
