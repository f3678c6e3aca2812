"""Links: the one way in which containers talk, each way and port by itself, whatever they claim."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from demo.containers import ALIKE, Container, Small
from demo.shell import run, virsh, virtsec, wait_for
from ipv6 import ADDRESSES, give_addresses
from linked import linked
from machine.qemu import Lsm
from rules import unlabelled

pytestmark = pytest.mark.once

WEB, SSH = 80, 22

#: What a stranger does in a container's network namespace, with all the powers of the host's root.
STRANGER = Path(__file__).with_name("stranger.py")


@pytest.fixture(scope="module", autouse=True)
def addressed(vs1: Container, vs2: Container, vs3: Container) -> None:
    """Addresses of IPv6 too."""
    give_addresses(vs1, vs2, vs3)


def addresses(container: Container) -> tuple[str, str]:
    """Its addresses of IPv4 and IPv6."""
    return container.address(), ADDRESSES[container.name]


#: Asks at every address and port at once, and prints those where somebody answers.
ASK = r"""
use IO::Socket::IP;
while (@ARGV) {
  my ($address, $port) = splice @ARGV, 0, 2;
  next if fork;
  my $s = IO::Socket::IP->new(PeerHost => $address, PeerPort => $port, Timeout => 5) or exit;
  alarm 8;
  print $s qq(GET / HTTP/1.0\r\n\r\n);
  print qq($address $port\n) if <$s>;
  exit;
}
1 while wait > 0;
"""


def answered(one: Container, *asked: tuple[Container, int]) -> set[tuple[str, str, int]]:
    """At which of the ports `one` gets an answer, over IPv4 and IPv6 alike."""
    places = [(address, str(port)) for other, port in asked for address in addresses(other)]
    words = " ".join(word for place in places for word in place)
    lines = one.ssh(f"perl - {words}", stdin=ASK).stdout.splitlines()
    found = set()
    for other, port in asked:
        came = {f"{address} {port}" in lines for address in addresses(other)}
        assert len(came) == 1, f"not alike over IPv4 and IPv6: {lines}"
        if came.pop():
            found.add((one.name, other.name, port))
    return found


def test_none_then_one_port_then_both_ways_then_none(
    vs1: Container, vs2: Container, vs3: Container
) -> None:
    asked = ((vs1, (vs2, WEB), (vs2, SSH), (vs3, WEB)), (vs2, (vs1, WEB), (vs1, SSH)),
             (vs3, (vs2, WEB)))  # fmt: skip

    def ways() -> set[tuple[str, str, int]]:
        with ThreadPoolExecutor() as all_at_once:  # what is refused is waited for
            return set().union(*all_at_once.map(lambda each: answered(*each), asked))

    assert ways() == set()
    with linked(vs1, vs2, "80/tcp"):
        assert ways() == {("vs1", "vs2", WEB)}
        with linked(vs2, vs1, "22"):
            assert ways() == {("vs1", "vs2", WEB), ("vs2", "vs1", SSH)}
    assert ways() == set()


#: Asks the same server once more for each line it reads, over one connection.
KEEP = r"""
use IO::Socket::IP; $| = 1;
my $s = IO::Socket::IP->new(PeerHost => $ARGV[0], PeerPort => 80, Timeout => 20) or die;
while (<STDIN>) {
  print $s qq(GET / HTTP/1.1\r\nHost: x\r\n\r\n);
  my $got;
  eval { local $SIG{ALRM} = sub { die }; alarm 6; $got = sysread $s, my $text, 65536; alarm 0 };
  print $got ? qq(answered\n) : qq(silent\n);
}
"""


def test_an_open_connection_ends_with_its_link(vs1: Container, vs2: Container) -> None:
    vs1.ssh("cat >/tmp/keep.pl", stdin=KEEP)
    words = ["virtsec", "exec", "vs1", "--", "/usr/bin/perl", "/tmp/keep.pl", vs2.address()]
    with linked(vs1, vs2, "80/tcp"):
        keeps = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert [asked_again(keeps), asked_again(keeps)] == ["answered", "answered"]
    with keeps:
        assert asked_again(keeps) == "silent"


def asked_again(keeps: "subprocess.Popen[str]") -> str:
    """What came of one more request over the connection that is kept."""
    assert keeps.stdin
    assert keeps.stdout
    print("ask", file=keeps.stdin, flush=True)
    return keeps.stdout.readline().strip()


def strange(container: Container, *words: str) -> str:
    """What the stranger says, run in the network namespace of a container."""
    pid = str(container.init_pid())
    done = run("nsenter", "-t", pid, "-n", sys.executable, str(STRANGER), *words)
    return done.stdout


def mac(container: Container) -> str:
    """Its link-layer address."""
    pid = str(container.init_pid())
    shown = run("nsenter", "-t", pid, "-n", "ip", "-json", "link", "show", "eth0").stdout
    return str(json.loads(shown)[0]["address"])


def version(address: str) -> int:
    """Of the Internet protocol."""
    return ip_address(address).version


def heard(container: Container) -> str:
    """What has come at the listener that `listening` has started."""
    return container.ssh("cat /tmp/heard", check=False).stdout


#: Writes down what comes by UDP, over IPv4 and IPv6.
LISTEN = r"""
use IO::Socket::IP; $| = 1;
my $s = IO::Socket::IP->new(LocalHost => "::", LocalPort => $ARGV[0], Proto => "udp", V6Only => 0);
print "ready\n";
while (defined $s->recv(my $text, 512)) { print "$text\n" }
"""


@contextmanager
def listening(container: Container, port: int) -> Iterator[None]:
    """A server inside that writes down what comes by UDP, over IPv4 and IPv6."""
    container.ssh("cat >/tmp/listen.pl", stdin=LISTEN)
    container.ssh(
        f"perl /tmp/listen.pl {port} </dev/null >/tmp/heard 2>&1 & echo $! >/tmp/heard.pid"
    )
    wait_for("the listener", lambda: "ready" in heard(container))
    try:
        yield
    finally:
        container.ssh("kill $(cat /tmp/heard.pid)", check=False)


#: Of nobody: what is sent to it goes to all ports of the bridge.
NOBODY = "02:00:00:00:00:01"


def test_a_stranger_in_anothers_name_is_not_heard(
    vs1: Container, vs2: Container, vs3: Container, lsm: Lsm
) -> None:
    """vs3 writes the addresses of vs1, and its link-layer address too, into what it sends."""

    def spoof(text: str) -> None:
        for source, target in zip(addresses(vs1), addresses(vs2), strict=True):
            strange(vs3, "send", f"{text}-{version(source)}", mac(vs1), mac(vs2),
                    source, "40000", target, "5300")  # fmt: skip
            # Else the bridge goes on to take vs3 for vs1.
            strange(vs1, "send", "here", mac(vs1), NOBODY, source, "9", target, "9")

    with linked(vs1, vs2, "5300/udp"), listening(vs2, 5300):
        spoof("in-anothers-name")
        for address in addresses(vs2):
            vs1.ssh(f"perl -e 'use IO::Socket::IP; IO::Socket::IP->new(PeerHost => q({address}), "
                    "PeerPort => 5300, Proto => q(udp))->send(q(linked))'")  # fmt: skip
        wait_for("what vs1 sends", lambda: heard(vs2).count("linked") == 2)
        assert "in-anothers-name" not in heard(vs2)
        with unlabelled(lsm):  # so it is the label, and packets that are otherwise good
            spoof("unlabelled")
            wait_for("both", lambda: all(f"unlabelled-{v}" in heard(vs2) for v in (4, 6)))


@contextmanager
def soon_forgotten() -> Iterator[None]:
    """Have the kernel forget what it knows of datagrams that are sent meanwhile."""
    kept = Path("/proc/sys/net/netfilter/nf_conntrack_udp_timeout")
    before = kept.read_text()
    kept.write_text("1")
    try:
        yield
        time.sleep(3)
    finally:
        kept.write_text(before)


def test_who_answers_can_ask_for_nothing_even_with_made_up_questions(
    vs1: Container, vs2: Container, vs3: Container, lsm: Lsm
) -> None:
    """vs2, and vs3 for it, send questions in vs1's name first, so that theirs seem answers."""
    pairs = list(zip(addresses(vs1), addresses(vs2), strict=True))

    def answer(text: str) -> None:
        for one, other in pairs:
            strange(vs2, "send", f"{text}-{version(one)}", mac(vs2), mac(vs1),
                    other, "5300", one, "40000")  # fmt: skip

    with listening(vs1, 40000), linked(vs1, vs2, "5300/udp"):
        for one, other in pairs:
            question = (one, "40000", other, "5300")
            strange(vs2, "send", "question", NOBODY, NOBODY, *question)
            strange(vs3, "send", "question", NOBODY, mac(vs2), *question)
        answer("unasked")
        with unlabelled(lsm), soon_forgotten():
            answer("unlabelled")
            wait_for("both", lambda: all(f"unlabelled-{v}" in heard(vs1) for v in (4, 6)))
        for one, other in pairs:
            strange(vs1, "send", "question", mac(vs1), mac(vs2), one, "40000", other, "5300")
        answer("asked")
        wait_for("answers", lambda: all(f"asked-{v}" in heard(vs1) for v in (4, 6)))
        assert "unasked" not in heard(vs1)


def test_verify_holds_beside_a_link(vs1: Container, vs2: Container) -> None:
    only = ("tcp4-other", "udp4-other", "other-file-read", "other-task-kill")
    with linked(vs1, vs2, "80/tcp"):
        for one, other in (("vs1", "vs2"), ("vs2", "vs1")):
            words = (word for each in only for word in ("--only", each))
            virtsec("verify", one, "--against", other, *words)


def test_links_outlive_what_keeps_the_rules(vs1: Container, vs2: Container) -> None:
    with linked(vs1, vs2, "80/tcp"):
        run("systemctl", "restart", "virtsec-packets")
        assert answered(vs1, (vs2, WEB), (vs2, SSH)) == {("vs1", "vs2", WEB)}


def test_a_container_takes_its_links_with_it(small: Small, vs1: Container) -> None:
    other = Small("other")
    other.define(*ALIKE)
    virtsec("link", "other", "small", "--port", "80")
    virtsec("link", "small", "other", "--port", "22")
    before = json.loads(virtsec("links", "--json").stdout)
    assert [each["name"] for each in before["links"]] == ["other", "small"]
    virtsec("undefine", "other", "--storage")
    assert json.loads(virtsec("links", "--json").stdout) == {"links": []}
    assert "<virtsec:link" not in virsh("dumpxml", "small").stdout
    assert "vs-other" not in run("nft", "list", "table", "bridge", "virtsec").stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("link", "vs1", "vs1", "--port", "80"), "vs1 may ask itself without a link."),
        (("link", "vs1", "none", "--port", "80"), "There is no domain none."),
        (("link", "vs1", "vs2", "--port", "0"), "'0' is not a port."),
        (("link", "vs1", "vs2", "--port", "80/sctp"), "'80/sctp' is not a port"),
        (("unlink", "vs1", "vs2"), "vs1 has no link to vs2."),
        (("unlink", "vs1", "vs2", "--port", "81"), "vs1 has no link to vs2, 81/tcp."),
    ],
)
def test_what_makes_no_sense_is_one_sentence(
    vs1: Container, vs2: Container, words: tuple[str, ...], sentence: str
) -> None:
    done = virtsec(*words, check=False)
    assert done.returncode in (1, 2)
    assert sentence in done.stderr
    assert done.stderr.count("\n") <= 2
    assert json.loads(virtsec("links", "--json").stdout) == {"links": []}
