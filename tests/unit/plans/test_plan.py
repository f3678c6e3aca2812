"""From a spec and facts to steps: pure, unique, and in an order that can be interrupted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_interface
from pathlib import PurePosixPath

import pytest

from tests.unit.fakes import FakeMac, foreign, record
from tests.unit.samples import SAMPLES, sample
from virtsec.domain.links import links_of, with_links
from virtsec.domain.metadata import CONTROLLER, Container, read
from virtsec.domain.orders import KeepOrders
from virtsec.domain.records import DomainRecord, NetworkState
from virtsec.domain.steps import DefineDomain, RedefineDomain, SetMetadata
from virtsec.domain.verdict import differences
from virtsec.errors import BadInput, NotFound, Refused
from virtsec.mac.steps import SetTraffic
from virtsec.plans.adopt import plan_adopt, plan_release
from virtsec.plans.define import plan_define, plan_from_xml
from virtsec.plans.host import HostFacts
from virtsec.plans.reach import plan_link, plan_unlink
from virtsec.plans.rename import plan_rename
from virtsec.plans.tree import plan_follow, plan_kind, plan_label
from virtsec.plans.undefine import plan_undefine
from virtsec.rootfs.follow import RemoveBeside, beside
from virtsec.spec import Base, ContainerSpec, IdRange, InitPolicy, Link, Network, NetworkKind
from virtsec.step import Step

DEFAULT = NetworkState("default", True, True, "virbr0", (ip_interface("192.168.122.1/24"),))


def facts(*records: DomainRecord, **words: object) -> HostFacts:
    given: dict[str, object] = {
        "domains": records,
        "subordinate": (),
        "networks": {"default": DEFAULT},
        "models": frozenset({"selinux"}),
        "controller": CONTROLLER,
        **words,
    }
    return HostFacts(**given)  # type: ignore[arg-type]


def spec(name: str = "vs1", **words: object) -> ContainerSpec:
    return sample(name, **words).spec  # type: ignore[arg-type]


def names(steps: Sequence[Step]) -> list[str]:
    return [type(step).__name__ for step in steps]


def ours(name: str = "unprivileged", running: bool = False) -> DomainRecord:
    return record(SAMPLES[name].spec.name, SAMPLES[name].xml, running=running)


def at(*addresses: str) -> Network:
    return Network(addresses=tuple(map(ip_interface, addresses)))


def test_the_domain_comes_after_all_it_needs() -> None:
    """An interrupted define leaves no domain; labels need the policy they name."""
    plan = plan_define(spec(source="/srv/x.tar", autostart=True), facts(), FakeMac())
    assert names(plan.steps) == [
        "LoadPolicy",
        "MakeStore",
        "FillTree",
        "LabelTree",
        "LimitSlice",
        "FlushTree",
        "DefineDomain",
        "SetAutostart",
        "KeepTree",
    ]


def test_a_tree_is_on_the_disk_before_anything_says_that_it_is_there() -> None:
    """libvirt has what it is told synced, and power may fail just after."""
    one, theirs = SAMPLES["unprivileged"].container, foreign("theirs")
    adopted = plan_adopt(theirs, facts(theirs), FakeMac())
    based = sample("vs2", base=Base("web", 1))
    named = replace(ours(), xml=ours().xml.replace("</name>", f"</name><uuid>{ours().uuid}</uuid>"))
    for steps in (
        plan_define(spec(source="/srv/x.tar"), facts(), FakeMac()).steps,
        plan_from_xml(foreign("vs9").xml, facts(), FakeMac()).steps,
        adopted.steps,
        plan_release(adopted.container, replace(theirs, xml=adopted.after), (), FakeMac()),
        plan_kind(one, ours(), facts(ours()), FakeMac(), privileged=True)[1],
        plan_rename(one, named, [], "vs9", facts=facts(named), mac=FakeMac()),
        plan_follow(
            based.container, record("vs2", based.xml), Base("web", 2), based.spec.base, FakeMac()
        ),
    ):
        found = names(steps)
        said = found[found.index("FlushTree") + 1]
        assert said in ("DefineDomain", "RedefineDomain", "TakePlace")


def test_a_pristine_init_is_kept_before_the_domain_is_there() -> None:
    plan = plan_define(spec(init_policy=InitPolicy.PRISTINE), facts(), FakeMac())
    steps = names(plan.steps)
    assert steps.index("LabelTree") < steps.index("KeepInit") < steps.index("DefineDomain")


def test_the_hook_finds_the_orders_of_what_somebody_else_described() -> None:
    """It refuses a start where what is mounted read-only is not in them."""
    root = "<source dir='/srv/foreign'/><target dir='/'/></filesystem>"
    more = "<filesystem type='mount'><source dir='/srv/d'/><target dir='/mnt'/><readonly/>"
    xml = foreign("vs1").xml.replace(root, f"{root}{more}</filesystem>")
    there = record("vs1", xml)
    wanted = KeepOrders("vs1", "", "ro /srv/d\n")
    for steps in (
        plan_adopt(there, facts(there), FakeMac()).steps,
        plan_from_xml(xml, facts(), FakeMac()).steps,
    ):
        assert wanted in steps
        assert steps.index(wanted) < next(
            index
            for index, each in enumerate(steps)
            if isinstance(each, DefineDomain | RedefineDomain)
        )


def test_planning_twice_gives_the_same() -> None:
    one = plan_define(spec(), facts(foreign()), FakeMac())
    assert one == plan_define(spec(), facts(foreign()), FakeMac())


@pytest.mark.parametrize("privileged", [True, False])
def test_the_hook_will_start_what_is_planned(privileged: bool) -> None:
    plan = plan_define(spec(privileged=privileged), facts(), FakeMac())
    assert differences("vs1", plan.xml) == ()
    assert read(plan.xml) == plan.container


def test_two_containers_share_neither_label_nor_ids_nor_those_of_foreign_domains() -> None:
    known = [foreign(start=0x70000000)]
    for name in ("vs1", "vs2", "vs3"):
        plan = plan_define(spec(name), facts(*known), FakeMac())
        known.append(record(name, plan.xml))
    found = [read(each.xml) for each in known[1:]]
    starts = [one.identity.ids.start for one in found if one and one.identity.ids]
    assert starts == [0x70010000, 0x70020000, 0x70030000]
    pairs = {one.identity.label.process.rpartition(":")[2] for one in found if one}
    assert pairs == {"c0,c2", "c0,c3", "c0,c4"}


def test_ids_of_users_and_of_subuid_are_left_alone() -> None:
    taken = facts(subordinate=(IdRange(0x70000000),), accounts=(IdRange(0x70010000 + 7, 1),))
    ids = plan_define(spec(), taken, FakeMac()).container.identity.ids
    assert ids == IdRange(0x70020000)


def test_ids_of_a_tree_that_was_left_are_nobody_elses() -> None:
    left = facts(trees={PurePosixPath("/var/lib/virtsec/vs9/rootfs"): IdRange(0x70000000)})
    assert plan_define(spec(), left, FakeMac()).container.identity.ids == IdRange(0x70010000)
    again = plan_define(spec("vs9"), left, FakeMac())
    assert again.container.identity.ids == IdRange(0x70000000)


def test_a_privileged_container_takes_no_ids() -> None:
    plan = plan_define(spec(privileged=True), facts(), FakeMac())
    assert plan.container.identity.ids is None
    assert "<idmap>" not in plan.xml


def test_a_module_libvirt_does_not_know_is_not_in_the_xml() -> None:
    plan = plan_define(spec(), facts(models=frozenset()), FakeMac())
    assert "<seclabel" not in plan.xml


@pytest.mark.parametrize("there", [foreign("vs1"), ours()])
def test_a_name_another_domain_has_is_refused(there: DomainRecord) -> None:
    with pytest.raises(BadInput, match="domain vs1 already"):
        plan_define(spec(), facts(there), FakeMac())


@pytest.mark.parametrize("root", ["/srv/foreign", "/srv/foreign/a", "/srv"])
def test_a_root_in_or_around_another_domains_is_refused(root: str) -> None:
    path = PurePosixPath(root)
    with pytest.raises(Refused):
        plan_define(spec(rootfs=path), facts(foreign()), FakeMac())


def test_a_foreign_domain_on_the_hosts_root_is_in_nobodys_way() -> None:
    there = foreign()
    there = replace(there, xml=there.xml.replace("/srv/foreign", "/"))
    plan_define(spec(), facts(there), FakeMac())


def test_an_unknown_network_or_bridge_is_told() -> None:
    with pytest.raises(NotFound, match="no network lan"):
        plan_define(spec(network=Network(source="lan")), facts(), FakeMac())
    bridge = Network(NetworkKind.BRIDGE, "br0")
    with pytest.raises(NotFound, match="no bridge br0"):
        plan_define(spec(network=bridge), facts(), FakeMac())
    plan_define(spec(network=bridge), facts(bridges=frozenset({"br0"})), FakeMac())


def test_a_static_address_gets_the_network_as_its_gateway() -> None:
    plan = plan_define(spec(network=at("192.168.122.9/24")), facts(), FakeMac())
    assert plan.container.spec.network.gateway == ip_address("192.168.122.1")


@pytest.mark.parametrize("address", ["10.0.0.9/24", "192.168.122.1/24"])
def test_an_address_that_cannot_work_on_the_network_is_refused(address: str) -> None:
    with pytest.raises(BadInput):
        plan_define(spec(network=at(address)), facts(), FakeMac())


def test_a_network_without_a_bridge_is_refused() -> None:
    """It is a card of the host's: what is sent by it has no label, and is not limited."""
    card = facts(networks={"default": NetworkState("default", True, True)})
    with pytest.raises(Refused, match="default has no bridge of this host's"):
        plan_define(spec(), card, FakeMac())


def test_an_address_is_given_once_on_a_network() -> None:
    with pytest.raises(BadInput, match="theirs has the address"):
        plan_define(spec(network=at("192.168.122.50/24")), facts(foreign()), FakeMac())


def test_the_same_address_on_another_bridge_is_another_address() -> None:
    network = Network(NetworkKind.BRIDGE, "br0", (ip_interface("192.168.122.50/24"),))
    known = facts(foreign(), bridges=frozenset({"br0"}))
    plan_define(spec(network=network), known, FakeMac())


def undefining(container: Container, record: DomainRecord, storage: bool) -> tuple[Step, ...]:
    """Steps that undefine the only container there is."""
    return plan_undefine([(container, record)], [container], storage, FakeMac())


def test_undefine_forgets_the_domain_last() -> None:
    """Until then it is the one record of what is still to be taken away."""
    container = SAMPLES["unprivileged"].container
    steps = undefining(container, ours(), False)
    assert names(steps) == [
        "RestTree",
        "LeaveTree",
        "UnloadPolicies",
        "ForgetSlices",
        "UndefineDomain",
    ]
    steps = undefining(container, ours(), True)
    assert names(steps) == ["RemoveTree", "UnloadPolicies", "ForgetSlices", "UndefineDomain"]


def test_undefine_with_storage_takes_what_was_cut_off_beside_a_layer_away() -> None:
    """A base that somebody is on cannot be removed, and this would be nobody's."""
    steps = undefining(SAMPLES["layer"].container, ours("layer"), True)
    assert names(steps)[:3] == ["RemoveBeside", "RemoveLayers", "RemoveTree"]
    assert steps[0] == RemoveBeside(beside("vs8"))


def test_undefine_takes_the_kept_init_away() -> None:
    container = SAMPLES["full"].container
    steps = undefining(container, ours("full"), False)
    assert names(steps) == [
        "SetTraffic",
        "RestTree",
        "LeaveTree",
        "UnloadPolicies",
        "DropInit",
        "KeepOrders",
        "ForgetSlices",
        "UndefineDomain",
    ]


def linked(name: str, *to: str) -> Container:
    """A container that may ask others for their page."""
    return sample(name, links=tuple(Link(each, 80) for each in to)).container


def test_a_link_stands_in_the_metadata_as_long_as_it_is_open() -> None:
    less = [linked("vs1"), linked("vs2"), linked("vs3", "vs1")]
    more = with_links(less, {"vs1": (Link("vs2", 80),), "vs3": (Link("vs1", 80),)})
    less = with_links(less, links_of(less))
    steps = plan_link(less, more, FakeMac())
    assert names(steps) == ["SetMetadata", "SetMetadata", "ReplacePolicies", "SetTraffic"]
    assert [step.after.name for step in steps[:2] if isinstance(step, SetMetadata)] == [
        "vs1",
        "vs2",
    ]
    assert names(plan_unlink(more, less, FakeMac())) == [
        "SetTraffic", "ReplacePolicies", "SetMetadata", "SetMetadata"
    ]  # fmt: skip
    assert plan_link(more, more, FakeMac()) == ()


def test_links_from_and_to_a_container_go_with_it() -> None:
    alone = [linked("vs1", "vs2", "vs3"), linked("vs2", "vs3"), linked("vs3", "vs1")]
    containers = with_links(alone, links_of(alone))
    steps = plan_undefine(
        [(containers[1], record("vs2", sample("vs2").xml))], containers, False, FakeMac()
    )
    first, second, *rest = steps
    assert isinstance(first, SetTraffic)
    assert first.before.links.keys() == {"vs1", "vs2", "vs3"}
    assert first.after.links == {"vs1": (Link("vs3", 80),), "vs3": (Link("vs1", 80),)}
    assert isinstance(second, SetMetadata)
    assert (second.before, second.after.spec.links) == (containers[0], (Link("vs3", 80),))
    assert names(rest) == [
        "RestTree",
        "LeaveTree",
        "UnloadPolicies",
        "ForgetSlices",
        "UndefineDomain",
    ]


def test_a_tree_that_was_there_before_is_never_removed() -> None:
    with pytest.raises(Refused, match="was there before"):
        undefining(SAMPLES["full"].container, ours("full"), True)


def test_a_running_container_is_neither_undefined_nor_labelled() -> None:
    container, running = SAMPLES["unprivileged"].container, ours(running=True)
    with pytest.raises(Refused, match="running"):
        undefining(container, running, False)
    with pytest.raises(Refused, match="running"):
        plan_label(container, running, FakeMac())


def test_label_walks_the_tree_and_nothing_else() -> None:
    steps = plan_label(SAMPLES["unprivileged"].container, ours(), FakeMac())
    assert names(steps) == ["LabelTree"]
