"""Links between containers as rules of nftables: the only packets one may receive of another.

What goes through a bridge from one container's port to another's gets the label that containers may
receive, in place of that which they may not, if a link is about it. It is the ports of the bridge
that decide, and no address: what a container writes into its packets, and which addresses it takes
on, opens nothing. Answers have to belong to a connection that went through the link before, which
is marked for it (nft(8), `ct secmark`): one that a container makes up by packets in another's name
is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from virtsec.mac.install import read, replace, run
from virtsec.names import port_of
from virtsec.spec import Link, Links

FILE = "etc/virtsec/links.nft"
NFT = "/usr/sbin/nft"
#: How nft prints that a connection is marked, and how it takes it.
_MARKED = ("ct secmark != 0", "ct secmark and 0xffffffff != 0")
_HEADER = "# Written by virtsec from its containers' metadata, see `virtsec links`.\n"


def text(links: Links) -> str:
    """The file that the table takes its links from; pure."""
    return _HEADER + "".join(
        f"# {source} to {link.to}, {link}\n{ask}\n{answer.replace(*_MARKED)}\n"
        for source, link in _each(links)
        for ask, answer in [_rules(source, link)]
    )


def write(links: Links, root: Path) -> Path:
    """Have these links in force when the table is loaded the next time; the path of the file."""
    path = root / FILE
    replace(path, text(links))
    return path


def in_force(links: Links, root: Path) -> bool:
    """Whether these links, and no others, are let through now and after the next boot.

    Raises `Failed` where the table is not there.
    """
    chain = run(NFT, "list", "chain", "bridge", "virtsec", "pass")
    found = [line.strip() for line in chain.splitlines() if "secmark" in line]
    wanted = [rule for source, link in _each(links) for rule in _rules(source, link)]
    return read(root / FILE) == text(links) and found == wanted


def _each(links: Links) -> Iterator[tuple[str, Link]]:
    return ((source, link) for source in sorted(links) for link in sorted(links[source]))


def _rules(source: str, link: Link) -> tuple[str, str]:
    """How it may ask, and how it may be answered, as nft prints rules."""
    one, other = port_of(source), port_of(link.to)
    return (
        f'iifname "{one}" oifname "{other}" {link.protocol} dport {link.port} '
        f'meta secmark set "linked" ct secmark set meta secmark',
        f'iifname "{other}" oifname "{one}" {link.protocol} sport {link.port} '
        f'ct direction reply ct secmark != 0 meta secmark set "linked"',
    )
