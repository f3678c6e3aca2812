"""What packets may reach as rules of nftables, by the ports of the bridge."""

from __future__ import annotations

from pathlib import Path

import pytest

from virtsec.mac.packets import traffic
from virtsec.names import MAX_LENGTH, port_of
from virtsec.spec import Egress, Link, Traffic, Transport

LINKS = {"web": (Link("db", 5432), Link("db", 53, Transport.UDP)), "db": (Link("web", 80),)}
ADDRESSES = {"db": ("192.0.2.7", "2001:db8::7"), "web": ("192.0.2.7",)}
WANTED = Traffic(LINKS, {"db": Egress.NONE, "web": Egress.LAN}, frozenset({8080, 443}), ADDRESSES)
ASK = 'iifname "vs-{}" oifname "vs-{}" {} dport {} meta secmark set "linked" \
ct secmark set meta secmark accept\n'
ANSWER = 'iifname "vs-{}" oifname "vs-{}" {} sport {} ct direction reply ct secmark != 0 \
meta secmark set "linked" accept\n'
#: What two that are linked may send each other besides.
FOUND = "".join(
    f'iifname "vs-{one}" oifname "vs-{other}" meta secmark != 0 {what} accept\n'
    for one, other in (("db", "web"), ("web", "db"))
    for what in (
        "ether type arp",
        "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }",
        "ct state related",
    )
)
APART = 'iifname "vs-*" oifname "vs-*" meta secmark != 0 drop\n'
RULES = (
    "".join(
        ASK.format(one, other, protocol, port) + ANSWER.format(other, one, protocol, port)
        for one, other, protocol, port in (
            ("db", "web", "tcp", 80),
            ("web", "db", "udp", 53),
            ("web", "db", "tcp", 5432),
        )
    )
    + FOUND
    + APART
)
ASKED = 'oifname "vs-{}" meta secmark 0 meta secmark set "linked" ct secmark set meta secmark\n'
BY_HOST = ASKED.replace("meta secmark 0", "meta skuid >= 0")
ASKS = (
    'iifname "vs-{0}" ct direction reply ct secmark != 0 accept\n'
    'iifname "vs-{0}" meta secmark != 0 goto {1}\n'
)
DB, WEB = ("db", "none"), ("web", "lan")
#: Whose the second address is, and no other's.
CLAIMED = 'iifname "vs-*" iifname != "vs-db" meta secmark != 0 '
BOTH = 'iifname "vs-*" iifname != "vs-db" iifname != "vs-web" meta secmark != 0 '
#: What the kernel is to have, as nft lists it.
LISTED = {
    "enter": 'meta iifkind "veth" meta secmark set "sent"\n',
    "claim": f"{BOTH}ip saddr 192.0.2.7 drop\n{BOTH}arp saddr ip 192.0.2.7 drop\n"
    f"{CLAIMED}ip6 saddr 2001:db8::7 drop\n"
    f"{CLAIMED}icmpv6 type nd-neighbor-advert icmpv6 taddr 2001:db8::7 drop\n",
    "pass": RULES + "".join(ASKED.format(name) + ASKS.format(name, to) for name, to in (DB, WEB)),
    "come": "".join(ASKS.format(name, to) for name, to in (DB, WEB)),
    "leave": "".join(ASKED.format(name) + BY_HOST.format(name) for name, _ in (DB, WEB)),
    "receive": "".join(
        f'meta iifkind "bridge" tcp dport {port} {which}\n'
        for port in (443, 8080)
        for which in ("ct direction reply meta secmark != 0 accept", "meta secmark != 0 drop")
    ),
}


def rules(text: str) -> dict[str, str]:
    """The rules of each chain in a file, comparisons as nft lists them."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("chain "):
            chain = line.split()[1]
            found[chain] = ""
        elif "secmark" in line:
            found[chain] += line.replace(" and 0xffffffff ==", "").replace(" and 0xffffffff", "")
            found[chain] += "\n"
    return found


def listed(family: str, chains: dict[str, str]) -> str:
    """A table as nft lists it."""
    own = {
        each: rules for each, rules in chains.items() if (each == "receive") == (family == "inet")
    }
    text = "".join(f"\tchain {name} {{\n{rules}}}\n" for name, rules in own.items())
    return f"table {family} virtsec {{\n{text}}}\n"


def test_each_link_lets_ask_one_way_and_answer_the_other() -> None:
    assert rules(traffic.text(Traffic(LINKS)))["pass"] == RULES


def test_who_may_not_ask_all_is_asked_all_the_same() -> None:
    assert rules(traffic.text(WANTED)) == {k: v for k, v in LISTED.items() if k != "enter"}


def test_without_links_nothing_is_let_through() -> None:
    found = rules(traffic.text(Traffic()))
    assert found.pop("pass") == APART
    assert found == {"claim": "", "come": "", "leave": "", "receive": ""}


@pytest.mark.parametrize(
    ("chain", "before", "after"),
    [
        ("pass", "5432", "5432"),
        ("pass", "5432", "5433"),
        ("pass", RULES.splitlines()[-1] + "\n", ""),
        ("pass", RULES.splitlines()[0], RULES.splitlines()[0] * 2),
        ("come", "none", "lan"),
        ("come", LISTED["come"], ""),
        ("leave", "vs-db", "vs-other"),
        ("pass", APART, ""),
        ("claim", "192.0.2.7", "192.0.2.8"),
        ("receive", "8080", "8081"),
    ],
)
def test_what_the_kernel_has_must_be_that_and_nothing_else(
    chain: str, before: str, after: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chains = {**LISTED, chain: LISTED[chain].replace(before, after)}
    monkeypatch.setattr(traffic, "run", lambda *words: listed(words[3], chains))
    traffic.write(WANTED, tmp_path)
    assert traffic.in_force(WANTED, tmp_path) is (before == after)


def test_what_is_in_the_kernel_must_be_there_after_the_next_boot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "run", lambda *words: listed(words[3], LISTED))
    assert not traffic.in_force(WANTED, tmp_path)
    traffic.write(Traffic(), tmp_path)
    assert not traffic.in_force(WANTED, tmp_path)


def test_every_name_has_an_end_on_the_host_of_its_own() -> None:
    longest = ["a" * length for length in range(1, MAX_LENGTH + 1)]
    names = [*longest, *(f"{each[:-1]}b" for each in longest)]
    ports = {port_of(name) for name in names}
    assert len(ports) == len(set(names))
    assert max(map(len, ports)) == 15
    assert port_of("web") == "vs-web"
