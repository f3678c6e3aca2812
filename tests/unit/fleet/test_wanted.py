"""What a fleet file asks for, and what is wrong with one that makes no sense."""

from __future__ import annotations

from ipaddress import ip_interface
from pathlib import Path

import pytest

from virtsec.errors import BadInput
from virtsec.fleet.document import parse
from virtsec.fleet.wanted import Fleet, wanted
from virtsec.spec import ApartBy, Egress, Exposed, Link, NetworkKind, Transport

WHOLE = """\
version: 1
defaults: {memory: 256M, from: /srv/debian.tar, confinement: category}
profiles:
  web: {base: web, pids: 500, egress: lan}
pools:
  front: 192.168.122.10-192.168.122.12/24
bases:
  web: {from: /srv/debian.tar}
containers:
  - {name: "web-{n}", count: 3, profile: web, pool: front}
  - name: db
    memory: 1G
    address: [192.168.122.20/24]
    expose: [5432:5432]
  - {name: job, network: none, init: /bin/job, init-args: [-v], mount: ["/srv/in:/in:ro"]}
links:
  - {from: "web-*", to: db, port: 5432/tcp}
  - {from: db, to: web-1, port: 53/udp}
"""


def fleet(text: str) -> Fleet:
    return wanted(parse(text, Path("fleet.yaml")))


def test_entries_have_defaults_profiles_numbers_addresses_and_links() -> None:
    found = fleet(WHOLE)
    specs = {spec.name: spec for spec in found.containers}
    assert list(specs) == ["web-1", "web-2", "web-3", "db", "job"]
    assert found.bases == {"web": "/srv/debian.tar"}
    one, two, database, job = (specs[name] for name in ("web-1", "web-2", "db", "job"))
    assert one.network.addresses == (ip_interface("192.168.122.10/24"),)
    assert two.network.addresses == (ip_interface("192.168.122.11/24"),)
    assert one.base is not None
    assert (one.base.name, one.source, one.limits.pids, one.egress) == (
        "web", None, 500, Egress.LAN
    )  # fmt: skip
    assert (one.limits.memory_mib, database.limits.memory_mib) == (256, 1024)
    assert {spec.apart_by for spec in specs.values()} == {ApartBy.CATEGORY}
    assert one.links == two.links == (Link("db", 5432),)
    assert database.links == (Link("web-1", 53, Transport.UDP),)
    assert database.exposed == (Exposed(5432, 5432),)
    assert (database.source, database.base) == ("/srv/debian.tar", None)
    assert job.network.kind is NetworkKind.NONE
    assert (str(job.init), job.init_args, job.mounts[0].read_only) == ("/bin/job", ("-v",), True)


@pytest.mark.parametrize(
    ("before", "after", "line", "sentence"),
    [
        ("version: 1", "version: 2", 1, "version: 1 was expected"),
        ("version: 1\n", "", 1, "'version' is a required property"),
        ("containers:", "container:", 1, "'containers' is a required property"),
        ("pids: 500", "pid: 500", 4, "There is no setting pid; did you mean pids?"),
        ("pids: 500", "pids: many", 4, "'many' is not a number"),
        ("memory: 1G", "memory: [1G]", 12, "is not"),
        ("memory: 1G", "memory: much", 11, "'much' is not an amount of memory"),
        ("count: 3", "count: 0", 10, "0 is less than the minimum"),
        ("count: 3", "count: 4", 10, "The pool front has no address left for web-4"),
        (", count: 3", "", 10, "A name has {n} in it where there is a count"),
        ('"web-{n}"', "web", 10, "A name has {n} in it where there is a count"),
        ("profile: web,", "profile: wed,", 10, "There is no profile wed."),
        ("pool: front", "pool: back", 10, "There is no pool back."),
        ("122.12/24", "123.12/24", 6, "is no range of addresses in one network"),
        ("122.10-192", "122.13-192", 6, "is no range of addresses in one network"),
        ("name: db", "name: web-2", 11, "There are two containers called web-2."),
        ("name: db", "name: Db", 11, "'Db' is not a container name."),
        ("122.20/24", "122.11/24", 11, "web-2 and db would both have the address 192.168.122.11"),
        ("to: db", "to: dB", 17, "There is no container dB in this file."),
        ('"web-*"', '"wab-*"', 17, "No other container in this file is called wab-*."),
        ("to: web-1", "to: job", 18, "db and job are not on one network."),
        ("5432/tcp", "5432/sctp", 17, "'5432/sctp' is not a port that can be linked."),
        ("egress: lan", "egress: wan", 4, "'wan' is not one of"),
        ("/srv/in:/in:ro", "/srv/in", 15, "'/srv/in' is not a mount."),
        ("expose: [5432:5432]", "expose: [5432:5432, 5432:1]", 11, "exposed at port 5432"),
        ("web: {from", "Web: {from", 8, "'Web' is not a container name."),
    ],
)
def test_what_makes_no_sense_is_told_with_its_line(
    before: str, after: str, line: int, sentence: str
) -> None:
    assert WHOLE.count(before) == 1, before
    with pytest.raises(BadInput) as raised:
        fleet(WHOLE.replace(before, after))
    assert sentence in raised.value.sentence
    assert raised.value.sentence.startswith(f"fleet.yaml:{line}: ")


@pytest.mark.parametrize("text", ["", "[]", "vs1", "version: 1\ncontainers: {}"])
def test_what_is_no_fleet_at_all(text: str) -> None:
    with pytest.raises(BadInput, match=r"^fleet.yaml:\d+: "):
        fleet(text)
