"""What containers' packets may reach, as rules of nftables: links to others, and how far out.

Links: what goes through a bridge from one container's port to another's gets the label that
containers may receive, in place of that which they may not, if a link is about it. It is the ports
of the bridge that decide, and no address: what a container writes into its packets, and which
addresses it takes on, opens nothing. Answers have to belong to a connection that went through the
link before, which is marked for it (nft(8), `ct secmark`): one that a container makes up by packets
in another's name is not.

Everything else from one container's port to another's is dropped: what no socket receives, and so
nobody asks the security module about, such as forged answers of ARP, what a raw socket sends, and
what the kernel itself answers. Linked containers may find each other.

Ports that containers expose at the host's addresses are not there for other containers, and no
container takes the address that such a port leads to.

Egress: a container that may not ask everybody may still answer whoever asks it, if that is the host
or comes from outside. Such connections are marked as those of links are. They are told by packets
that have a socket of the host, or no label: what another container has sent has one for as long as
it is on this host, wherever it was routed. (Smack labels what the host's own sockets send.) What
belongs to no such connection is not sent, whether the kernel tracks it or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from virtsec.errors import Failed
from virtsec.mac.install import read, replace, run
from virtsec.names import port_of
from virtsec.runtime.start import PORT
from virtsec.spec import Link, Traffic

FILE = "etc/virtsec/traffic.nft"
NFT = "/usr/sbin/nft"
_HEADER = "# Written by virtsec from its containers' metadata, see `virtsec links`.\n"
#: The table of each chain, and where packets pass it (nft(8), "Address families").
_CHAINS = {
    "claim": ("bridge virtsec", "prerouting priority -300"),
    "pass": ("bridge virtsec", "forward priority -400"),
    "come": ("bridge virtsec", "input priority -400"),
    "leave": ("bridge virtsec", "output priority -400"),
    "receive": ("inet virtsec", "input priority 0"),
}
#: What a container has sent; and all of that which goes to another one.
_SENT = "meta secmark != 0"
_APART = f'iifname "{PORT}*" oifname "{PORT}*" {_SENT} drop'
#: How a connection gets the label of the packet.
_MARK = "ct secmark set meta secmark"
#: How nft prints a comparison, and how it takes it.
_PRINTED = {
    "ct secmark != 0": "ct secmark and 0xffffffff != 0",
    "ct secmark 0": "ct secmark and 0xffffffff == 0",
    "meta secmark != 0": "meta secmark and 0xffffffff != 0",
    "meta secmark 0": "meta secmark and 0xffffffff == 0",
}


def text(traffic: Traffic) -> str:
    """The file that the table takes these chains from; pure."""
    return _HEADER + "".join(
        f"table {_CHAINS[chain][0]} {{\nflags owner, persist\nchain {chain} {{\n"
        f"type filter hook {_CHAINS[chain][1]}; policy accept;\n"
        + "".join(f"{_to_read(rule)}\n" for rule in rules)
        + "}\n}\n"
        for chain, rules in _chains(traffic).items()
    )


def write(traffic: Traffic, root: Path) -> Path:
    """Have this in force when the table is loaded the next time; the path of the file."""
    path = root / FILE
    replace(path, text(traffic))
    return path


def in_force(traffic: Traffic, root: Path) -> bool:
    """Whether this, and nothing else, is let through now and after the next boot."""
    found: dict[str, list[str]] = {}
    chain = ""
    try:
        listed = [run(NFT, "list", "table", family, "virtsec") for family in ("bridge", "inet")]
    except Failed:  # nobody keeps the tables
        return False
    for line in (line.strip() for table in listed for line in table.splitlines()):
        if line.startswith("chain "):
            chain = line.split()[1]
            found[chain] = []
        elif "secmark" in line and chain:
            found[chain].append(line)
    wanted = _chains(traffic)
    return read(root / FILE) == text(traffic) and wanted == {
        chain: found.get(chain) for chain in wanted
    }


def _chains(traffic: Traffic) -> dict[str, list[str]]:
    """The rules of each chain, as nft prints them."""
    pairs = sorted({(min(each), max(each)) for each in _ends(traffic)})
    chains: dict[str, list[str]] = {
        "claim": [*_claims(traffic)],
        "pass": [
            *(rule for source, link in _each(traffic) for rule in _link_rules(source, link)),
            *(rule for one, other in pairs for rule in _found(one, other)),
            _APART,
        ],
        "come": [],
        "leave": [],
        # By the bridge: what the host asks itself has a label too, Smack's of whoever asks.
        "receive": [
            f'meta iifkind "bridge" tcp dport {port} {which}'
            for port in sorted(traffic.exposed)
            for which in (f"ct direction reply {_SENT} accept", f"{_SENT} drop")
        ],
    }
    for name, reach in sorted(traffic.egress.items()):
        port = port_of(name)
        asked, by_host = (
            f'oifname "{port}" {sender} meta secmark set "linked" {_MARK}'
            for sender in ("meta secmark 0", "meta skuid >= 0")
        )
        answers = f'iifname "{port}" ct direction reply ct secmark != 0 accept'
        asks = f'iifname "{port}" {_SENT} goto {reach}'
        chains["pass"] += [asked, answers, asks]
        chains["come"] += [answers, asks]
        chains["leave"] += [asked, by_host]
    return chains


def _each(traffic: Traffic) -> Iterator[tuple[str, Link]]:
    links = traffic.links
    return ((source, link) for source in sorted(links) for link in sorted(links[source]))


def _ends(traffic: Traffic) -> Iterator[tuple[str, str]]:
    return ((source, link.to) for source, link in _each(traffic))


def _link_rules(source: str, link: Link) -> tuple[str, str]:
    """How it may ask, and how it may be answered."""
    one, other = port_of(source), port_of(link.to)
    return (
        f'iifname "{one}" oifname "{other}" {link.protocol} dport {link.port} '
        f'meta secmark set "linked" {_MARK} accept',
        f'iifname "{other}" oifname "{one}" {link.protocol} sport {link.port} '
        f'ct direction reply ct secmark != 0 meta secmark set "linked" accept',
    )


def _found(one: str, other: str) -> Iterator[str]:
    """How the two find each other, and are told that nobody listens."""
    for sender, receiver in ((one, other), (other, one)):
        way = f'iifname "{port_of(sender)}" oifname "{port_of(receiver)}" {_SENT}'
        yield f"{way} ether type arp accept"
        yield f"{way} icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept"
        yield f"{way} ct state related accept"


def _claims(traffic: Traffic) -> Iterator[str]:
    """No container but its own sends in the name of an address that a port of the host leads to."""
    owners: dict[str, list[str]] = {}
    for name, addresses in sorted(traffic.addresses.items()):
        for address in addresses:
            owners.setdefault(address, []).append(f'iifname != "{port_of(name)}"')
    for address, others in sorted(owners.items()):
        sent = f'iifname "{PORT}*" {" ".join(others)} {_SENT}'
        if ":" in address:
            yield f"{sent} ip6 saddr {address} drop"
            yield f"{sent} icmpv6 type nd-neighbor-advert icmpv6 taddr {address} drop"
        else:
            yield f"{sent} ip saddr {address} drop"
            yield f"{sent} arp saddr ip {address} drop"


def _to_read(rule: str) -> str:
    """A rule as nft takes it."""
    for printed, taken in _PRINTED.items():
        rule = rule.replace(printed, taken)
    return rule
