"""fleet apply has processes of its own make containers, each with a connection of its own."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.unit.fakes import FakeLibvirt, fake_host, record
from tests.unit.processes import children
from virtsec.commands import fleet
from virtsec.commands.rollout import Done
from virtsec.domain.records import DomainRecord
from virtsec.domain.steps import DefineDomain
from virtsec.errors import Failed
from virtsec.step import Host, Step, Watcher

pytestmark = pytest.mark.usefixtures("log")


class KeptLibvirt(FakeLibvirt):
    """Keeps domains in files, which all processes see, and what connections there were."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self._place = place

    def anew(self) -> KeptLibvirt:
        (self._place.parent / f"connection of {os.getpid()}").touch()
        return self

    def domains(self, xml: bool = True) -> list[DomainRecord]:
        del xml
        return [record(path.name, path.read_text()) for path in sorted(self._place.iterdir())]

    def domain(self, name: str) -> DomainRecord | None:
        return next((each for each in self.domains() if each.name == name), None)

    def define(self, xml: str) -> None:
        self.records.clear()
        super().define(xml)
        ((name, made),) = self.records.items()
        (self._place / name).write_text(made.xml)

    def undefine(self, name: str) -> None:
        (self._place / name).unlink()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """A host without containers."""
    (tmp_path / "domains").mkdir()
    return replace(fake_host(), libvirt=KeptLibvirt(tmp_path / "domains"))


@pytest.fixture
def four(file: Path) -> Path:
    """A file that asks for m-1 to m-4, which two processes make: m-1 and m-3, m-2 and m-4."""
    containers = [{"name": "m-{n}", "count": 4}]
    document = {"version": 1, "defaults": {"from": "/srv/x.tar"}, "containers": containers}
    file.write_text(yaml.safe_dump(document))
    return file


def made(host: Host) -> set[str]:
    """The containers that libvirt has."""
    return {each.name for each in host.libvirt.domains()}


def at(name: str, happening: Watcher) -> Watcher:
    """Has something happen before the domain `name` is defined."""

    def watch(index: int, step: Step) -> None:
        if isinstance(step, DefineDomain) and step.name == name:
            happening(index, step)

    return watch


def test_each_is_made_by_one_of_them_and_none_stays(host: Host, four: Path, tmp_path: Path) -> None:
    before = children()
    outcomes = fleet.apply_fleet(four, host, parallel=2)
    assert {type(each) for each in outcomes.values()} == {Done}
    assert made(host) == host.mac.loaded().keys() == {"m-1", "m-2", "m-3", "m-4"}
    connections = [path.name for path in tmp_path.glob("connection of *")]
    assert len(connections) == 2
    assert f"connection of {os.getpid()}" not in connections
    assert children() == before


def test_where_one_fails_the_others_are_made_all_the_same(host: Host, four: Path) -> None:
    def full(_: int, step: Step) -> None:
        raise OSError(28, "No space left", step.describe())

    outcomes = fleet.apply_fleet(four, host, parallel=2, watch=at("m-2", full))
    failure = outcomes.pop(("container", "m-2"))
    assert isinstance(failure, Failed)
    assert failure.sentence == "The system refused: define the domain m-2: No space left."
    assert {type(each) for each in outcomes.values()} == {Done}
    assert made(host) == host.mac.loaded().keys() == {"m-1", "m-3", "m-4"}


def test_interrupted_they_undo_what_they_had_begun_and_it_is_told(
    host: Host, four: Path, tmp_path: Path
) -> None:
    def interrupt(_index: int, _step: Step) -> None:
        while not (tmp_path / "domains" / "m-3").exists():
            time.sleep(0.01)
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)

    before = children()
    with pytest.raises(KeyboardInterrupt) as raised:
        fleet.apply_fleet(four, host, parallel=2, watch=at("m-2", interrupt))
    told = raised.value.__notes__
    assert "m-2: m-2 was not made: that was interrupted." in told
    assert "The container m-1 was made." in told
    assert made(host) == host.mac.loaded().keys()
    assert "m-1" in made(host)
    assert not {"m-2", "m-4"} & made(host)
    assert children() == before


@pytest.mark.parametrize("defined", [False, True])
def test_one_that_is_killed_is_told_and_leaves_no_policy_without_its_domain_nor_the_reverse(
    defined: bool, host: Host, four: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    define = KeptLibvirt.define

    def killed(libvirt: KeptLibvirt, xml: str) -> None:
        if "<name>m-4</name>" not in xml:
            define(libvirt, xml)
            return
        if defined:
            define(libvirt, xml)
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(KeptLibvirt, "define", killed)
    outcomes = fleet.apply_fleet(four, host, parallel=2)
    failure = outcomes.pop(("container", "m-4"))
    assert isinstance(failure, Failed)
    assert "was to make m-4 was ended by somebody else" in failure.sentence
    assert {type(each) for each in outcomes.values()} == {Done}
    assert ("m-4" in made(host)) is defined
    assert made(host) == host.mac.loaded().keys()
