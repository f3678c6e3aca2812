"""fleet apply, where containers are there and are to be otherwise."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface
from pathlib import Path
from socket import AF_INET6, SOCK_STREAM, socket
from typing import Any, cast

import pytest
import yaml

from tests.unit.commands.test_fleet import came
from tests.unit.fakes import FakeLibvirt, FakeMac, defined, fake_host
from tests.unit.samples import Sample, sample
from virtsec.commands import fleet
from virtsec.commands.rollout import Done, Outcomes
from virtsec.domain.claims import static_addresses
from virtsec.domain.steps import RedefineDomain
from virtsec.errors import BadInput, Failed, Refused
from virtsec.fleet.difference import CONTAINER
from virtsec.spec import Egress, Exposed, Network
from virtsec.step import Host, Step


def at(last: int) -> Network:
    """A static address."""
    return Network(
        addresses=(ip_interface(f"192.168.122.{last}/24"),), gateway=ip_address("192.168.122.1")
    )


def applied(
    path: Path, containers: list[Sample], *asked: dict[str, Any], running: bool = False
) -> tuple[Host, Outcomes]:
    """A host of those containers after `asked` was applied, and what came of it."""
    host = fake_host(*(defined(each.spec.name, each.xml, running=running) for each in containers))
    path.write_text(yaml.safe_dump({"version": 1, "containers": list(asked)}))
    outcomes = fleet.apply_fleet(path, host)
    if all(isinstance(each, Done) for each in outcomes.values()):
        assert fleet.plan_fleet(path, host).differences == ()
    return host, outcomes


def test_a_port_of_the_host_may_lead_elsewhere_in_the_container(log: list[str], file: Path) -> None:
    with socket(AF_INET6, SOCK_STREAM) as systemd:
        systemd.bind(("::", 0))
        systemd.listen()
        port = systemd.getsockname()[1]
        web = sample("web", network=at(10), exposed=(Exposed(port, 80),))
        asked = {"name": "web", "address": ["192.168.122.10/24"], "expose": [f"{port}:81"]}
        host, outcomes = applied(file, [web], asked)
    assert came(outcomes) == {"web": Done}
    (proxy,) = (text for unit, text in host.systemd.unit_files("").items() if "service" in unit)
    assert "192.168.122.10:81" in proxy


def test_an_address_and_what_is_exposed_at_it_go_together(log: list[str], file: Path) -> None:
    web = sample("web", network=at(10), exposed=(Exposed(18080, 80),))
    assert came(applied(file, [web], {"name": "web"})[1]) == {"web": Done}


def test_no_other_container_takes_the_address_that_a_port_leads_to_by_now(
    log: list[str], file: Path
) -> None:
    web = sample("web", network=at(10), exposed=(Exposed(18080, 80),))
    asked = {"name": "web", "address": ["192.168.122.11/24"], "expose": ["18080:80"]}
    host, outcomes = applied(file, [web], asked)
    assert came(outcomes) == {"web": Done}
    assert cast(FakeMac, host.mac).traffic.addresses == {"web": ("192.168.122.11",)}


def test_a_port_goes_from_one_container_to_another(log: list[str], file: Path) -> None:
    one = sample("one", network=at(10))
    two = sample("two", network=at(11), exposed=(Exposed(18080, 80),))
    asked = [
        {"name": "one", "address": ["192.168.122.10/24"], "expose": ["18080:80"]},
        {"name": "two", "address": ["192.168.122.11/24"]},
    ]
    assert came(applied(file, [one, two], *asked)[1]) == {"one": Done, "two": Done}


@pytest.fixture
def front(file: Path) -> list[Sample]:
    """Three containers with addresses that follow each other."""
    return [sample(f"app-{n}", network=at(100 + n)) for n in (1, 2, 3)]


def pooled(first: int, count: int) -> dict[str, Any]:
    """What asks for that many with the addresses from there on."""
    return {
        "version": 1,
        "pools": {"front": f"192.168.122.{first}-192.168.122.199/24"},
        "containers": [{"name": "app-{n}", "count": count, "pool": "front", "from": "/srv/x"}],
    }


@pytest.mark.parametrize("first", [100, 102, 103])
def test_addresses_go_from_one_to_another_at_once(
    first: int, front: list[Sample], log: list[str], file: Path
) -> None:
    host = fake_host(*(defined(each.spec.name, each.xml) for each in front))
    file.write_text(yaml.safe_dump(pooled(first, 4)))
    assert came(fleet.apply_fleet(file, host)) == dict.fromkeys(
        ("app-1", "app-2", "app-3", "app-4"), Done
    )
    assert fleet.plan_fleet(file, host).differences == ()


def test_two_change_their_addresses_with_each_other_or_not_at_all(
    log: list[str], file: Path
) -> None:
    both = [sample("a", network=at(10)), sample("b", network=at(11))]
    asked = [
        {"name": name, "address": [f"192.168.122.{n}/24"]} for name, n in (("a", 11), ("b", 10))
    ]
    assert came(applied(file, both, *asked)[1]) == {"a": Done, "b": Done}
    host = fake_host(*(defined(each.spec.name, each.xml) for each in both))
    before = {each.name: static_addresses(each.xml) for each in host.libvirt.domains()}

    def watch(_: int, step: Step) -> None:
        if isinstance(step, RedefineDomain) and step.name == "b":
            raise Failed("The second of both.")

    assert came(fleet.apply_fleet(file, host, watch=watch)) == {"a": Failed, "b": Failed}
    assert {each.name: static_addresses(each.xml) for each in host.libvirt.domains()} == before


def test_who_runs_has_its_address_until_it_stops(
    front: list[Sample], log: list[str], file: Path
) -> None:
    """Nobody else gets it, least of all who is exposed at it."""
    host = fake_host(*(defined(each.spec.name, each.xml, running=True) for each in front))
    file.write_text(yaml.safe_dump(pooled(102, 3)))
    outcomes = fleet.apply_fleet(file, host)
    assert came(outcomes) == {"app-1": BadInput, "app-2": BadInput, "app-3": Done}
    assert "app-3 has the address 192.168.122.103 already" in str(outcomes[CONTAINER, "app-2"])


def test_who_may_ask_local_addresses_only_may_lose_its_network_when_it_is_stopped(
    log: list[str], file: Path
) -> None:
    """Running, it would have its network for a while, and be limited no more."""
    lan, alone = sample("web", egress=Egress.LAN), {"name": "web", "network": "none"}
    host, outcomes = applied(file, [lan], alone)
    assert came(outcomes) == {"web": Done}
    assert cast(FakeMac, host.mac).traffic.egress == {}
    assert came(applied(file, [lan], alone, running=True)[1]) == {"web": Refused}


def test_what_was_changed_before_a_failure_is_told(
    log: list[str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise Failed("It does not start with the host.")

    monkeypatch.setattr(FakeLibvirt, "set_autostart", fail)
    asked = {"name": "web", "pids": 77, "autostart": True}
    _, outcomes = applied(file, [sample("web")], asked)
    notes = outcomes[CONTAINER, "web"].__notes__  # type: ignore[union-attr]
    assert notes[-1] == "What was changed of web before stays so."
