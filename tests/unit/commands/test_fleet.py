"""fleet plan and export, of a host's containers."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any, cast

import pytest
import yaml

from tests.unit.fakes import FakeMac, defined, fake_host, foreign, record
from tests.unit.samples import SAMPLES, sample
from virtsec.commands import bases, definition, fleet, rollout
from virtsec.commands.linking import links
from virtsec.commands.rollout import Done, Outcomes
from virtsec.domain.steps import DefineDomain
from virtsec.errors import BadInput, Failed, NotFound, Refused
from virtsec.fleet.difference import BASE, CONTAINER, Action
from virtsec.fleet.export import as_text
from virtsec.host.expose import Expose
from virtsec.mac.steps import SetTraffic
from virtsec.rootfs import unfinished
from virtsec.spec import Egress, Link, Mount, Network, NetworkKind
from virtsec.step import Host, Step, Watcher


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host with containers of several kinds and a domain of somebody else's."""
    monkeypatch.setattr(bases, "BASES", PurePosixPath(tmp_path / "bases"))
    ours = [defined(each.spec.name, each.xml) for each in SAMPLES.values()]
    return fake_host(*{each.name: each for each in ours}.values(), foreign("theirs"))


def test_of_what_is_exported_there_is_nothing_to_do(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(as_text(fleet.export_fleet(host)))
    assert "theirs" not in path.read_text()
    assert fleet.plan_fleet(path, host, prune=True).differences == ()
    assert fleet.diff_fleet(path, host) == ""


def test_also_of_a_mount_with_a_colon_as_only_others_make_it(tmp_path: Path) -> None:
    mounts = (Mount(PurePosixPath("/srv/a:b"), PurePosixPath("/mnt")),)
    host = fake_host(record("vs1", sample("vs1", mounts=mounts).xml))
    path = tmp_path / "fleet.yaml"
    path.write_text(as_text(fleet.export_fleet(host)))
    assert [each.changes for each in fleet.plan_fleet(path, host).differences] == []


def test_a_diff_shows_what_would_be_otherwise(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    text = as_text(fleet.export_fleet(host))
    path.write_text(text.replace("name: vs1\n", "name: vs1\n  pids: 77\n", 1))
    assert path.read_text() != text
    changed = [line for line in fleet.diff_fleet(path, host).splitlines() if line[0] in "+-"][2:]
    assert changed == ["+  pids: 77"]


@pytest.mark.parametrize(
    "setting", [{"from": f"/{'a' * 300}"}, {"from": "/etc/hostname", "mount": [f"/{'a' * 300}:/a"]}]
)
def test_a_path_that_no_file_can_have_is_told_by_file_and_line(
    host: Host, tmp_path: Path, setting: dict[str, Any]
) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "containers": [{"name": "a", **setting}]}))
    with pytest.raises(BadInput, match=rf"{path}:\d: .* is longer than a path can be"):
        fleet.plan_fleet(path, host)


@pytest.mark.parametrize("source", [f"/{'a' * 300}", "a\0b", "/none"])
def test_what_a_base_is_to_be_made_from_is_there(host: Host, tmp_path: Path, source: str) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(
        yaml.safe_dump({"version": 1, "bases": {"b": {"from": source}}, "containers": []})
    )
    with pytest.raises(NotFound, match="b is to be made from"):
        fleet.plan_fleet(path, host)


@pytest.mark.parametrize(
    ("setting", "lacking"),
    [
        ({"base": "web"}, "a is to be on the base web, which is not there."),
        (
            {"from": "/etc/hostname", "mount": ["/etc/hostname:/a"]},
            "a is to have /etc/hostname mounted, which is no directory.",
        ),
    ],
)
def test_what_a_container_lacks_is_said_to_be_lacking(
    host: Host, tmp_path: Path, setting: dict[str, Any], lacking: str
) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "containers": [{"name": "a", **setting}]}))
    with pytest.raises(NotFound) as found:
        fleet.plan_fleet(path, host)
    assert found.value.sentence == lacking


def test_what_somebody_else_made_is_never_to_go(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text("version: 1\ncontainers: []\n")
    assert fleet.plan_fleet(path, host).differences == ()
    gone = fleet.plan_fleet(path, host, prune=True).differences
    assert {each.action for each in gone} == {Action.REMOVE}
    assert "theirs" not in {each.name for each in gone}
    assert {each.name for each in gone} == {each.spec.name for each in SAMPLES.values()}


def rewritten(path: Path, host: Host, changes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What is there as a fleet's file, with other settings of some, by name; the same at `path`."""
    document = fleet.export_fleet(host)
    for each in document["containers"]:
        each.update(changes.get(each["name"], {}))
    path.write_text(yaml.safe_dump(document))
    return document


def test_what_changes_of_several_is_in_force_for_all_of_them(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    rewritten(path, host, {name: {"egress": "lan"} for name in ("vs1", "vs2")})
    outcomes = fleet.apply_fleet(path, host)
    assert all(isinstance(each, Done) for each in outcomes.values())
    assert outcomes.keys() == {(CONTAINER, "vs1"), (CONTAINER, "vs2")}
    limited = cast(FakeMac, host.mac).traffic.egress
    assert {name: limited[name] for _, name in outcomes} == {"vs1": Egress.LAN, "vs2": Egress.LAN}


def test_whom_several_may_ask_is_changed_at_once_and_whoever_cannot_keeps_no_other(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change of the policy takes as long for one as for many."""
    done: list[Step] = []
    path = tmp_path / "fleet.yaml"
    ports = {"vs3": 18081, "vs4": 18082}
    rewritten(path, host, {name: {"expose": [f"{at}:99"]} for name, at in ports.items()})
    outcomes = fleet.apply_fleet(path, host, watch=lambda _, step: done.append(step))
    assert came(outcomes) == dict.fromkeys(ports, Done)
    (traffic,) = [each for each in done if isinstance(each, SetTraffic)]
    assert traffic.after.exposed == frozenset(ports.values())
    assert fleet.plan_fleet(path, host).differences == ()

    def watch(_: int, step: Step) -> None:
        if isinstance(step, Expose) and step.name == "vs3":
            raise Failed("Not at this port.")

    rewritten(path, host, {name: {"expose": [f"{at + 9}:99"]} for name, at in ports.items()})
    outcomes = fleet.apply_fleet(path, host, watch=watch)
    assert came(outcomes) == {"vs3": Failed, "vs4": Done}
    assert cast(FakeMac, host.mac).traffic.exposed == {ports["vs3"], ports["vs4"] + 9}


def test_one_whose_link_leads_nowhere_is_no_success(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    document = rewritten(path, host, {})
    document["containers"].append({"name": "absent", "from": "/nowhere"})
    document.setdefault("links", []).append({"from": "vs1", "to": "absent", "port": 80})
    path.write_text(yaml.safe_dump(document))
    outcomes = fleet.apply_fleet(path, host)
    assert outcomes.keys() == {(CONTAINER, "vs1"), (CONTAINER, "absent")}
    assert isinstance(failed := outcomes[CONTAINER, "vs1"], Failed)
    assert "vs1 is not linked to absent" in str(failed)


def test_one_that_no_rule_could_let_out_is_not_linked_and_keeps_no_other(tmp_path: Path) -> None:
    """virsh took its interface's name away: what rules of the packet filter would know it by."""
    unnamed = re.sub(r"<target dev=.vs-odd.\s*/>", "", sample("odd").xml)
    assert unnamed != sample("odd").xml
    others = (defined(name, sample(name).xml) for name in ("vs1", "vs2"))
    host = fake_host(*others, defined("odd", unnamed))
    path = tmp_path / "fleet.yaml"
    document = rewritten(path, host, {})
    document["links"] = [{"from": name, "to": "vs2", "port": 80} for name in ("vs1", "odd")]
    path.write_text(yaml.safe_dump(document))
    why = "odd and vs2 cannot be linked: the interface .* has no end on the host called vs-odd"
    with pytest.raises(Refused, match=why):
        fleet.plan_fleet(path, host)
    outcomes = fleet.apply_fleet(path, host)
    assert came(outcomes) == {"vs1": Done, "odd": Refused}
    assert re.search(why, str(outcomes[CONTAINER, "odd"]))
    assert [each.name for each in links(host)] == ["vs1"]


def test_a_plan_links_those_that_the_same_file_brings_to_one_network(tmp_path: Path) -> None:
    apart = sample("vs3", network=Network(NetworkKind.NONE, ""))
    host = fake_host(defined("vs1", sample("vs1").xml), defined("vs3", apart.xml))
    path = tmp_path / "fleet.yaml"
    document = rewritten(path, host, {})
    for each in document["containers"]:
        each.pop("network", None)
    document["links"] = [{"from": "vs1", "to": "vs3", "port": 80}]
    path.write_text(yaml.safe_dump(document))
    fields = {
        each.name: {change.field for change in each.changes}
        for each in fleet.plan_fleet(path, host).differences
    }
    assert fields == {"vs1": {"links"}, "vs3": {"network"}}


@pytest.fixture
def no_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """No base can be made."""

    def fail(*_: object) -> None:
        raise Failed("The disk is read-only.")

    monkeypatch.setattr(bases, "make_first", fail)


@pytest.mark.usefixtures("no_base")
def test_a_base_and_a_container_of_one_name_are_told_apart(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    document = rewritten(path, host, {"vs1": {"pids": 99}})
    path.write_text(yaml.safe_dump({**document, "bases": {"vs1": {"from": "/srv/vs1.tar"}}}))
    outcomes = fleet.apply_fleet(path, host)
    assert {key: isinstance(each, Done) for key, each in outcomes.items()} == {
        (BASE, "vs1"): False,
        (CONTAINER, "vs1"): True,
    }


@pytest.mark.usefixtures("no_base")
def test_one_whose_base_was_not_made_is_said_to_wait_for_it(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    containers = [{"name": "based", "base": "web"}]
    document = {"version": 1, "bases": {"web": {"from": "/etc/hostname"}}, "containers": containers}
    path.write_text(yaml.safe_dump(document))
    outcomes = fleet.apply_fleet(path, host)
    assert came(outcomes) == {"web": Failed, "based": Failed}
    assert "since its base web was not" in str(outcomes[CONTAINER, "based"])


def came(outcomes: Outcomes) -> dict[str, type]:
    """What came of each, by name."""
    return {name: type(each) for (_, name), each in outcomes.items()}


@pytest.mark.parametrize(
    "lacking", [{"from": "/nowhere"}, {"base": "nothing"}, {"mount": ["/nowhere:/mnt"]}]
)
def test_a_plan_says_what_is_not_there_to_make_it_from(
    lacking: dict[str, Any], host: Host, tmp_path: Path
) -> None:
    path = tmp_path / "fleet.yaml"
    document = {"version": 1, "containers": [{"name": "absent", **lacking}]}
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(NotFound, match="absent is to "):
        fleet.plan_fleet(path, host)


def test_a_plan_says_whose_name_another_domain_has(host: Host, file: Path) -> None:
    file.write_text("{version: 1, containers: [{name: theirs, from: /etc/hostname}]}")
    with pytest.raises(BadInput, match="libvirt has a domain theirs already"):
        fleet.plan_fleet(file, host)


def three(path: Path) -> Path:
    """A file that asks for containers m-1, m-2 and m-3, and nothing else."""
    defaults = {"from": "/srv/x.tar"}
    containers = [{"name": "m-{n}", "count": 3}]
    path.write_text(yaml.safe_dump({"version": 1, "defaults": defaults, "containers": containers}))
    return path


def raising(error: BaseException, name: str) -> Watcher:
    """Has `error` raised before the domain `name` is defined."""

    def watch(_: int, step: Step) -> None:
        if isinstance(step, DefineDomain) and step.name == name:
            raise error

    return watch


def test_interrupted_nothing_stays_of_those_that_were_not_made_and_the_others_are_told(
    log: list[str], tmp_path: Path
) -> None:
    host = fake_host()
    with pytest.raises(KeyboardInterrupt) as raised:
        fleet.apply_fleet(
            three(tmp_path / "fleet.yaml"),
            host,
            parallel=1,
            watch=raising(KeyboardInterrupt(), "m-2"),
        )
    assert raised.value.__notes__[0] == "The container m-1 was made."
    made = {each.name for each in host.libvirt.domains()}
    assert "m-1" in made
    assert "m-2" not in made
    assert host.mac.loaded().keys() == made
    assert log[:4] == ["root", "keep", "root", "undo root"]


@pytest.mark.parametrize("error", [OSError(28, "No space left"), ValueError("of ours")])
def test_whatever_one_fails_of_the_others_are_made(
    error: Exception, log: list[str], tmp_path: Path
) -> None:
    host = fake_host()
    path = three(tmp_path / "fleet.yaml")
    outcomes = fleet.apply_fleet(path, host, watch=raising(error, "m-2"))
    assert log.count("keep") == 2
    assert {name: type(each) for (_, name), each in outcomes.items()} == {
        "m-1": Done,
        "m-2": Failed,
        "m-3": Done,
    }
    assert host.mac.loaded().keys() == {"m-1", "m-3"}


def test_a_policy_that_is_not_taken_is_the_failure_of_those_it_is_of(
    log: list[str], tmp_path: Path
) -> None:
    """And what went before is told."""
    old = sample("old", source="/srv/x.tar")
    host = fake_host(defined("old", old.xml))
    cast(FakeMac, host.mac).fails = True
    outcomes = fleet.apply_fleet(three(tmp_path / "fleet.yaml"), host, prune=True)
    assert log == ["RemoveTree"]
    assert {name: type(each) for (_, name), each in outcomes.items()} == {
        "old": Done,
        "m-1": Failed,
        "m-2": Failed,
        "m-3": Failed,
    }


def test_what_was_cut_off_at_its_end_is_finished(
    host: Host, log: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "fleet.yaml"
    rewritten(path, host, {})
    roots = {SAMPLES["static"].spec.rootfs}
    monkeypatch.setattr(fleet, "is_begun", lambda root: root in roots)
    (found,) = fleet.plan_fleet(path, host).differences
    assert (found.action, found.name) == (Action.MAKE, "vs3")
    assert fleet.apply_fleet(path, host).keys() == {(CONTAINER, "vs3")}
    assert log == ["keep"]


def test_what_was_cut_off_as_it_went_is_not_taken_for_whole(
    log: list[str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left of its tree is a part; it goes, and is made anew."""
    monkeypatch.setattr(unfinished, "_note", lambda _: None if log else b"going")
    host = fake_host(defined("web", sample("web", source="/etc/hostname").xml))
    file.write_text("{version: 1, containers: [{name: web, from: /etc/hostname}]}")
    found = [(each.action, each.name) for each in fleet.plan_fleet(file, host).differences]
    assert found == [(Action.REMOVE, "web"), (Action.MAKE, "web")]
    assert came(fleet.apply_fleet(file, host)) == {"web": Done}
    assert log == ["RemoveTree", "root", "keep"]


def test_one_whose_tree_is_gone_is_not_as_the_file_asks(
    host: Host, log: list[str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was destroyed up to its domain and killed then; or its disk is not there."""
    rewritten(file, host, {})
    for module in (fleet, rollout):
        monkeypatch.setattr(module, "is_gone", lambda root: "vs3" in str(root))
    (found,) = fleet.plan_fleet(file, host).differences
    assert (found.action, found.name) == (Action.MAKE, "vs3")
    outcomes = fleet.apply_fleet(file, host)
    assert came(outcomes) == {"vs3": NotFound}
    assert "The tree of vs3, /var/lib/virtsec/vs3/rootfs, is not there" in str(
        outcomes[CONTAINER, "vs3"]
    )
    assert log == []


def test_one_that_has_something_mounted_in_it_keeps_no_other_from_going(
    log: list[str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(root: PurePosixPath) -> None:
        if "m-2" in str(root):
            raise Refused(f"{root} has something mounted in it.", "Unmount it.")

    monkeypatch.setattr(definition, "refuse_mounts", refuse)
    host = fake_host(
        *(defined(name, sample(name, source="/srv/x.tar").xml) for name in ("m-1", "m-2", "m-3"))
    )
    outcomes = fleet.destroy_fleet(three(file), host)
    assert came(outcomes) == {"m-1": Done, "m-2": Refused, "m-3": Done}
    assert [each.name for each in host.libvirt.domains()] == ["m-2"]
    assert log == ["RemoveTree", "RemoveTree"]
    again = definition.undefine(["m-2"], host, storage=True)
    assert isinstance(again["m-2"], Refused)
    assert [each.name for each in host.libvirt.domains()] == ["m-2"]


@pytest.mark.parametrize("network", [None, Network(NetworkKind.NONE, "")])
def test_a_link_that_leads_nowhere_by_now_keeps_nobody_from_an_export(
    network: Network | None, log: list[str], file: Path
) -> None:
    """virsh has undefined who was asked, or taken it off the network."""
    linked = sample("web", source="/srv/x.tar", links=(Link("db", 5432), Link("log", 514)))
    there = [linked, sample("log", source="/srv/x.tar")]
    there += [] if network is None else [sample("db", source="/srv/x.tar", network=network)]
    host = fake_host(*(defined(each.spec.name, each.xml) for each in there))
    file.write_text(as_text(fleet.export_fleet(host)))
    (found,) = fleet.plan_fleet(file, host).differences
    assert [each.after for each in found.changes] == [(Link("log", 514),)]
    assert came(fleet.apply_fleet(file, host)) == {"web": Done}
    assert fleet.plan_fleet(file, host).differences == ()
