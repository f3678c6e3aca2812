"""Exposed ports: those outside reach them at the host's addresses, other containers do not."""

import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from complained import complained
from demo.containers import ALIKE, Small, prepare
from demo.shell import run, virtsec, wait_for
from ipv6 import ROUTER
from outside import beside, outside, there
from rules import unfiltered

pytestmark = pytest.mark.once

ADDRESS, AT = "192.168.122.61", "8081"
HOST, HOST6 = "203.0.113.1", "2001:db8:77::1"
UNITS = Path("/etc/systemd/system")


@pytest.fixture(scope="module", autouse=True)
def _outside() -> Iterator[None]:
    """Machines outside."""
    run("sysctl", "-q", "-w", "net.ipv6.conf.virbr0.disable_ipv6=0")
    run("ip", "address", "replace", f"{ROUTER}/64", "dev", "virbr0", "nodad")
    with outside():
        yield


@pytest.fixture(scope="module")
def shown() -> Iterator[Small]:
    """A running container with a server that is exposed, and that may ask nobody."""
    prepare()
    container = Small("shown")
    address = ("--address", f"{ADDRESS}/24")
    container.define(*ALIKE, "--expose", f"{AT}:80", *address, "--egress", "none")
    start(container)
    yield container
    container.stop()
    virtsec("undefine", container.name, "--storage")
    assert not list(UNITS.glob("virtsec-expose-*"))


def start(container: Small) -> None:
    """Start it, and a server in it."""
    container.start()
    container.inside("mkdir -p /srv; echo shown >/srv/index.html; httpd -p 80 -h /srv")


def fetched(host: str, port: str = AT) -> str:
    """What those outside get at a port of the host."""
    return there("curl", "-gs", "--max-time", "10", f"http://{host}:{port}/", check=False)


def serves(host: str) -> bool:
    """Whether those outside get its page there; the first waits until the proxy is up."""
    return fetched(host) == "shown\n"


def test_those_outside_reach_it_over_ipv4_and_ipv6(shown: Small) -> None:
    del shown
    for host in (HOST, f"[{HOST6}]"):
        wait_for(f"its page at {host}", partial(serves, host), attempts=5)


def test_the_host_reaches_it_at_its_own_addresses(shown: Small) -> None:
    del shown
    for host in ("127.0.0.1", "[::1]", "192.168.122.1"):
        page = run("curl", "-gs", "--max-time", "10", f"http://{host}:{AT}/", check=False)
        assert page.stdout == "shown\n"


def test_other_containers_do_not(shown: Small, small: Small) -> None:
    del shown
    small.start()
    if "inet 192" not in small.inside("ip address show dev eth0").stdout:
        small.inside("ip link set eth0 up; ip address add 192.168.122.62/24 dev eth0")
        small.inside("ip route add default via 192.168.122.1")
    asked = "wget -T 4 -q -O - http://{}:{}/ || echo refused"
    server = (sys.executable, "-m", "http.server", "--directory", "/usr/share/doc/python3", "8009")
    with beside(*server):
        there_too = ("curl", "-s", "-o", "/dev/null", "http://127.0.0.1:8009/")
        wait_for("another server", lambda: run(*there_too, check=False).returncode == 0)
        for host in ("192.168.122.1", HOST):
            assert small.inside(asked.format(host, AT)).stdout == "refused\n"
            assert "refused" not in small.inside(asked.format(host, 8009)).stdout


#: Tells all of the link that an address is at the sender's.
CLAIM = """
import socket, struct, sys
one = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
one.bind(("eth0", 0))
mac, address = one.getsockname()[4], socket.inet_aton(sys.argv[1])
what = struct.pack("!HHBBH", 1, 0x800, 6, 4, 2) + mac + address + b"\\xff" * 6 + address
one.send(b"\\xff" * 6 + mac + b"\\x08\\x06" + what)
print(":".join(f"{each:02x}" for each in mac))
"""


def test_no_other_container_takes_its_address(shown: Small, small: Small) -> None:
    small.start()
    small.inside("ip link set eth0 up")

    def claimed() -> bool:
        there = ("dev", "virbr0", "lladdr", "02:00:00:00:00:09", "nud", "stale")
        run("ip", "neigh", "replace", ADDRESS, *there)
        time.sleep(2)  # what is new the kernel keeps for a second
        words = ("nsenter", "-t", str(small.init_pid()), "-n", sys.executable, "-c", CLAIM, ADDRESS)
        mac = run(*words).stdout.strip()
        time.sleep(1)
        known = run("ip", "neigh", "show", ADDRESS).stdout
        run("ip", "neigh", "flush", "to", ADDRESS)
        return mac in known

    assert not claimed()
    with unfiltered():  # so it is the filter
        assert claimed()
    assert shown.confined()
    wait_for("its page", partial(serves, HOST), attempts=5)


def test_it_is_changed_while_it_runs_and_for_good(shown: Small) -> None:
    words = ("set", shown.name, "--expose", "8082:80", "--unexpose", AT, "--json")
    changed = json.loads(virtsec(*words).stdout)
    assert [(one["at"], one["port"]) for one in changed["exposed"]] == [(8082, 80)]
    assert (fetched(HOST), fetched(HOST, "8082")) == ("", "shown\n")
    shown.stop()
    assert fetched(HOST, "8082") == ""
    start(shown)
    wait_for("its page", lambda: fetched(HOST, "8082") == "shown\n", attempts=5)
    virtsec("set", shown.name, "--unexpose", "8082", "--expose", f"{AT}:80")
    assert (fetched(HOST), fetched(HOST, "8082")) == ("shown\n", "")


def test_the_proxy_has_no_privileges(shown: Small) -> None:
    del shown
    fetched(HOST)
    unit = f"virtsec-expose-shown-{AT}.service"
    pid = run("systemctl", "show", "--value", "-p", "MainPID", unit).stdout.strip()
    status = Path(f"/proc/{pid}/status").read_text()
    assert "CapPrm:\t0000000000000000" in status
    assert "Uid:\t0\t" not in status
    label = Path(f"/proc/{pid}/attr/current").read_text().rstrip("\n\0")
    assert label in ("system_u:system_r:virtsec_proxy_t:s0", "_")


def test_what_is_lost_is_found_and_mended(shown: Small) -> None:
    unit = UNITS / f"virtsec-expose-shown-{AT}.socket"
    run("systemctl", "disable", "--now", unit.name)
    unit.unlink()
    found = virtsec("doctor", check=False)
    assert found.returncode == 1
    assert "exposed" in found.stdout
    virtsec("doctor", "--fix", check=False)
    assert fetched(HOST) == "shown\n"


def test_what_makes_no_sense_is_one_sentence(shown: Small) -> None:
    for words, sentence in (
        ((f"--expose={AT}:80",), f"shown is exposed at port {AT} already."),
        (("--expose=8083:80", "--expose=8083:81"), "Two ports would be exposed at port 8083."),
        (("--expose=80",), "'80' does not say which port is to be which."),
        (("--expose=8083:0",), "'0' is not a port."),
        (("--expose=22:22",), "Port 22 of this host cannot be listened on:"),
    ):
        address = ("--address", "192.168.122.63/24")
        complained(("define", "wrong", *ALIKE, *address, *words), 2, sentence)
    wrong = ("define", "wrong", *ALIKE, "--expose", "8083:80")
    complained(wrong, 2, "wrong has no static address to be exposed at.")
    complained(("set", shown.name, "--unexpose", "1"), 2, "shown is not exposed at port 1.")
