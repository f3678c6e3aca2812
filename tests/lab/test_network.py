"""Containers are reached from outside and reach outside, but not each other."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from demo.containers import Container
from demo.shell import run, wait_for
from ipv6 import ADDRESSES, ROUTER, give_addresses
from machine.qemu import Lsm
from outside import beside
from rules import unlabelled

#: The exit status of timeout(1).
TIMED_OUT = 124


@pytest.fixture(scope="module", autouse=True)
def ipv6(vs1: Container, vs2: Container) -> None:
    """Addresses of IPv6 too."""
    give_addresses(vs1, vs2)


def addresses(container: Container) -> tuple[str, str]:
    """Its two addresses as they stand in a URL."""
    return container.address(), f"[{ADDRESSES[container.name]}]"


def test_the_host_reaches_both_over_ipv4_and_ipv6(vs1: Container, vs2: Container) -> None:
    for container in (vs1, vs2):
        for address in addresses(container):
            page = run("curl", "-gs", "--max-time", "20", f"http://{address}/").stdout
            assert page == f"This is {container.name}.\n"


def test_neither_reaches_the_other(vs1: Container, vs2: Container) -> None:
    for one, other in ((vs1, vs2), (vs2, vs1)):
        for address in addresses(other):
            assert refused(one, address)


def test_without_the_label_of_its_packets_one_would_reach_the_other(
    vs1: Container, vs2: Container, lsm: Lsm
) -> None:
    """So it is the label, and no lack of a route or of a server."""
    with unlabelled(lsm):
        for address in addresses(vs2):
            wait_for(f"vs2 at {address}", partial(fetched, vs1, address, "vs2"))


#: Frames of no protocol that any kernel knows: no socket of the receiver's is asked for its label.
HEAR = """
import socket
one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88b5))
one.bind(("eth0", 0x88b5))
print("ready", flush=True)
while True:
    print(one.recv(2048)[14:64], flush=True)
"""
SAY = """
import socket, sys
one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
one.bind(("eth0", 0))
one.send(b"\\xff" * 6 + one.getsockname()[4] + b"\\x88\\xb5" + sys.argv[1].encode().ljust(46))
"""


def test_no_frame_of_one_comes_to_the_other(
    vs1: Container, vs2: Container, lsm: Lsm, tmp_path: Path
) -> None:
    """Whatever is in it: ARP in another's name is one of them."""
    log = tmp_path / "heard"
    with beside(*within(vs2), sys.executable, "-c", HEAR, log=log):
        wait_for("the listener", lambda: "ready" in log.read_text())
        run(*within(vs1), sys.executable, "-c", SAY, "filtered")
        with unlabelled(lsm):  # so it is the filter
            run(*within(vs1), sys.executable, "-c", SAY, "unfiltered")
            wait_for("the frame", lambda: "unfiltered" in log.read_text(), attempts=10)
    assert "'filtered" not in log.read_text()


def within(container: Container) -> tuple[str, ...]:
    """How a program of the host's runs in a container's network."""
    return "nsenter", "-t", str(container.init_pid()), "-n"


def test_both_reach_a_server_of_the_host(vs1: Container, vs2: Container) -> None:
    command = ["python3", "-m", "http.server", "--bind", "::", "8008"]
    server = subprocess.Popen(command, cwd="/usr/share/doc/python3", stderr=subprocess.DEVNULL)
    try:
        for container in (vs1, vs2):
            for address in ("192.168.122.1", f"[{ROUTER}]"):
                there = partial(fetched, container, f"{address}:8008", "200 OK")
                wait_for(f"the host's page at {address}", there, attempts=10)
    finally:
        server.kill()
        server.wait()


def test_a_firewall_reload_does_not_take_the_label_off(vs1: Container, vs2: Container) -> None:
    before = {each: run(f"{each}-save").stdout for each in ("iptables", "ip6tables")}
    run("nft", "flush", "ruleset")
    try:
        assert "virtsec" in run("nft", "list", "tables").stdout
        assert refused(vs1, vs2.address())
    finally:
        for each, rules in before.items():  # libvirt's own
            run(f"{each}-restore", stdin=rules)


def fetched(container: Container, address: str, text: str) -> bool:
    """Whether a page fetched inside has the text in it."""
    return text in container.ssh(get(address), check=False).stdout


def refused(container: Container, address: str) -> bool:
    """Whether who asks from inside waits in vain: by its own status, and not by ssh's failing."""
    tried = container.ssh(get(address), check=False)
    return tried.stdout == "" and tried.returncode in (1, TIMED_OUT)


def get(address: str) -> str:
    """A command for bash that fetches a page, where there is no curl."""
    host, _, port = address.rpartition(":") if not address.endswith("]") else (address, "", "")
    host, port = (host, port) if host else (address, "80")
    script = (
        "use IO::Socket::IP; my $s = IO::Socket::IP->new(PeerHost => $ARGV[0], "
        "PeerPort => $ARGV[1], Timeout => 8) or exit 1; "
        'print $s "GET / HTTP/1.0\\r\\n\\r\\n"; print while <$s>;'
    )
    return f"timeout 20 perl -e '{script}' '{host.strip('[]')}' {port or 80}"
