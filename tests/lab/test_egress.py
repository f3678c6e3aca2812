"""Egress: whom a container may ask over the network, and that it answers all the same."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from complained import complained
from demo.containers import ALIKE, Small, prepare
from demo.shell import run, virsh, virtsec, wait_for
from ipv6 import ROUTER
from outside import INTERNET, INTERNET6, LAN, NAMESPACE, PORT, beside, outside
from rules import unfiltered

pytestmark = pytest.mark.once

HOST = "192.168.122.1"
ADDRESS, ADDRESS6 = "192.168.122.60", "fd00:5ec::60"
LOCAL, ALL = {HOST, ROUTER, LAN}, {HOST, ROUTER, LAN, INTERNET, INTERNET6}
SERVE = "mkdir -p /srv; echo page >/srv/index.html; httpd -p 80 -h /srv"


@pytest.fixture(scope="module", autouse=True)
def _outside() -> Iterator[None]:
    """Machines outside, to which the host routes over IPv6 too."""
    routing = Path("/proc/sys/net/ipv6/conf/all/forwarding")
    before = routing.read_text()
    run("sysctl", "-q", "-w", "net.ipv6.conf.virbr0.disable_ipv6=0")
    run("ip", "address", "replace", f"{ROUTER}/64", "dev", "virbr0", "nodad")
    with outside():
        routing.write_text("1")
        yield
        routing.write_text(before)


@pytest.fixture(scope="module")
def kept() -> Iterator[Small]:
    """A running container that may ask nobody."""
    prepare()
    container = Small("kept")
    container.define(*ALIKE, "--egress", "none", "--address", f"{ADDRESS}/24")
    start(container)
    yield container
    container.stop()
    virtsec("undefine", container.name, "--storage")


def start(container: Small) -> None:
    """Start it, with an address of IPv6 and a server."""
    container.start()
    within(container, "ip", "-6", "address", "add", f"{ADDRESS6}/64", "dev", "eth0", "nodad")
    within(container, "ip", "-6", "route", "add", "default", "via", ROUTER)
    container.inside(SERVE)


def within(container: Small, *words: str) -> None:
    """Run a program of the host's in a container's network."""
    run("nsenter", "-t", str(container.init_pid()), "-n", *words)


def answered(container: Small) -> set[str]:
    """Which of those it asks answer."""
    asked = "".join(
        f"(wget -T 4 -q -O /dev/null http://{f'[{each}]' if ':' in each else each}:{PORT}/ "
        f"&& echo {each}) & "
        for each in ALL
    )
    return set(container.inside(f"{asked} wait").stdout.split())


def serves() -> bool:
    """Whether it answers the host, over IPv4 and IPv6."""
    pages = [
        run("curl", "-gs", "--max-time", "10", f"http://{each}/", check=False).stdout
        for each in (ADDRESS, f"[{ADDRESS6}]")
    ]
    return pages == ["page\n", "page\n"]


def test_who_may_ask_nobody_answers(kept: Small) -> None:
    assert answered(kept) == set()
    assert serves()
    assert virtsec("info", kept.name).stdout.count("Egress") == 1


def test_it_is_changed_while_it_runs_and_for_good(kept: Small) -> None:
    for egress, reached in (("all", ALL), ("lan", LOCAL), ("none", set())):
        changed = json.loads(virtsec("set", kept.name, "--egress", egress, "--json").stdout)
        assert changed == {"name": kept.name, "egress": egress, "exposed": []}
        assert answered(kept) == reached
    assert serves()
    kept.stop()
    start(kept)
    run("systemctl", "restart", "virtsec-packets")
    assert answered(kept) == set()
    assert serves()


def test_an_address_is_had_all_the_same(kept: Small) -> None:
    """By DHCP, which is asked for before there is one to be answered at."""
    found = kept.inside("udhcpc -i eth0 -n -q -s /bin/true 2>&1").stdout
    assert "lease of 192.168.122." in found


#: What a stranger does in a container's network namespace, and a sender that nobody is.
STRANGER, NOBODY = Path(__file__).with_name("stranger.py"), "02:00:00:00:00:01"
#: Writes down the datagrams, the neighbour advertisements and the answers to nobody's question that
#: come to the machine outside.
LISTEN = """
import select, socket
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); one.bind(("", 5353))
other = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
third = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
print("ready", flush=True)
while True:
    for each in select.select([one, other, third], [], [])[0]:
        text, source = each.recvfrom(4096)
        if each is one or b"advertised" in text or b"answered" in text:
            print(text[-40:], source[0], flush=True)
"""
#: Puts a text into a neighbour advertisement, which is sent to anybody.
ADVERTISE = """
import socket, sys
one = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 255)
one.sendto(bytes([136, 0, 0, 0]) + bytes(20) + b"advertised " + sys.argv[2].encode(),
           (sys.argv[1], 0))
"""
#: Answers an echo request that nobody has sent: it is about no connection that the kernel knows.
ANSWER = """
import socket, struct, sys
text = b"answered " + sys.argv[2].encode().ljust(9)
words = sum(struct.unpack("!9H", text))
words = (words & 0xffff) + (words >> 16)
one = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
one.sendto(struct.pack("!BBHHH", 0, 0, ~words & 0xffff, 0, 0) + text, (sys.argv[1], 0))
"""
DATAGRAM = f"""
import socket, sys
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind(("", 68))
one.sendto(sys.argv[1].encode(), ("{INTERNET}", 5353))
"""


def send(container: Small, text: str) -> None:
    """Have it send a text outside by all that it may send."""
    within(container, sys.executable, "-c", ADVERTISE, INTERNET6, text)
    within(container, sys.executable, "-c", ANSWER, INTERNET, text)
    within(container, sys.executable, "-c", DATAGRAM, text)


def link_address(interface: str) -> str:
    """Of one of the host's interfaces."""
    return Path(f"/sys/class/net/{interface}/address").read_text().strip()


def ask_for_outside(helper: Small, kept: Small) -> None:
    """Another container asks in the name of the machine outside, so that it may be answered."""
    inner = json.loads(
        run("nsenter", "-t", str(kept.init_pid()), "-n", "ip", "-j", "link", "show", "eth0").stdout
    )
    for target in (inner[0]["address"], link_address("virbr0")):
        question = ("question", NOBODY, target, INTERNET, "5353", ADDRESS, "68")
        within(helper, sys.executable, str(STRANGER), "send", *question)


def test_nothing_that_it_may_send_is_sent_out(kept: Small, small: Small, tmp_path: Path) -> None:
    """Neighbour discovery is not routed, DHCP is asked for on the link alone, who asks in the name
    of others gets no answer to them, and what answers nobody is not sent.
    """
    small.start()
    within(small, "ip", "link", "set", "eth0", "up")
    words = ("ip", "netns", "exec", NAMESPACE, sys.executable, "-c", LISTEN)
    log = tmp_path / "heard"
    with beside(*words, log=log):
        wait_for("the listener", lambda: "ready" in log.read_text())
        send(kept, "kept")
        ask_for_outside(small, kept)
        send(kept, "kept")
        with unfiltered():  # so it is the filter, and what is sent would arrive
            send(kept, "free")
            wait_for("all", lambda: log.read_text().count("free") == 3, attempts=10)
    assert "kept" not in log.read_text()


def test_an_edit_that_would_lose_it_is_refused(kept: Small) -> None:
    virtsec("set", kept.name, "--egress", "none")
    kept.stop()
    before = virsh("dumpxml", "--inactive", kept.name).stdout
    edited = before.replace("<target dev='vs-kept'/>", "<target dev='other'/>")
    assert edited != before
    virsh("define", "/dev/stdin", stdin=edited)
    done = virsh("start", kept.name, check=False)
    assert "what it may send is limited at vs-kept" in done.stderr
    virsh("define", "/dev/stdin", stdin=before)
    start(kept)
    assert answered(kept) == set()


def test_nothing_of_it_stays_when_it_is_undefined() -> None:
    short = Small("short")
    short.define(*ALIKE, "--egress", "lan")
    assert "vs-short" in run("nft", "list", "table", "bridge", "virtsec").stdout
    virtsec("undefine", "short", "--storage")
    assert "vs-short" not in run("nft", "list", "table", "bridge", "virtsec").stdout
    wait_for("health", lambda: virtsec("doctor", check=False).returncode == 0, attempts=2)


def test_what_makes_no_sense_is_one_sentence(kept: Small) -> None:
    complained(("set", kept.name, "--egress", "some"), 2, "'some' is no egress.")
    wrong = ("define", "wrong", "--no-network", "--egress", "lan", "--confinement", "category")
    complained(wrong, 2, "wrong has no network to limit its egress on.")
