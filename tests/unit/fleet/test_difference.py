"""What is to be done, and that an exported file asks for what there is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from tests.unit.domain.specs import samples_of_any_kind
from tests.unit.fleet.test_wanted import WHOLE, fleet
from tests.unit.samples import Sample, selinux_label
from virtsec.domain.links import links_of, with_links
from virtsec.domain.metadata import Container
from virtsec.errors import VirtsecError
from virtsec.fleet.difference import Action, When, differences
from virtsec.fleet.document import parse
from virtsec.fleet.export import as_text, exported
from virtsec.fleet.wanted import Fleet, wanted
from virtsec.spec import Base, Identity, IdRange


def made(text: str) -> list[Container]:
    """The containers of a file, as they are when it was applied."""
    containers = [
        Container(
            replace(spec, base=spec.base and Base(spec.base.name, 3)),
            Identity(selinux_label(spec.name), IdRange(65536 * (at + 10))),
        )
        for at, spec in enumerate(fleet(text).containers)
    ]
    return with_links(containers, links_of(containers))


def test_all_is_made_where_nothing_is() -> None:
    found = differences([], [], fleet(WHOLE))
    assert [(each.action, each.kind, each.name) for each in found] == [
        (Action.MAKE, "base", "web"),
        *((Action.MAKE, "container", name) for name in ("web-1", "web-2", "web-3", "db", "job")),
    ]


def test_nothing_is_done_where_all_is_as_asked() -> None:
    assert differences(made(WHOLE), ["web"], fleet(WHOLE)) == ()


@pytest.mark.parametrize(
    ("before", "after", "name", "fields"),
    [
        ("memory: 1G", "memory: 2G", "db", {"memory_mib": When.LIVE}),
        ("expose: [5432:5432]", "autostart: true", "db",
         {"exposed": When.LIVE, "autostart": When.LIVE}),
        ("122.20/24", "122.21/24", "db", {"network": When.NEXT_START}),
        ("init: /bin/job", "init: /bin/jib", "job", {"init": When.NEXT_START}),
        ("init-args: [-v]", "init-policy: pristine", "job",
         {"init_args": When.NEXT_START, "init_policy": When.REBUILD}),
        ("port: 53/udp", "port: 54/udp", "db", {"links": When.LIVE}),
    ],
)  # fmt: skip
def test_what_is_asked_otherwise_is_changed_and_when_is_said(
    before: str, after: str, name: str, fields: dict[str, When]
) -> None:
    (found,) = differences(made(WHOLE), ["web"], fleet(WHOLE.replace(before, after)))
    assert (found.action, found.name) == (Action.CHANGE, name)
    assert {each.field: each.when for each in found.changes} == fields


def test_the_router_of_one_network_is_none_of_another() -> None:
    have = made(WHOLE.replace("    memory: 1G", "    gateway: 192.168.122.1"))
    assert next(each for each in have if each.name == "db").spec.network.gateway is not None
    (same,) = differences(have, ["web"], fleet(WHOLE))
    assert [each.field for each in same.changes] == ["memory_mib"]
    moved = WHOLE.replace("    memory: 1G", "    bridge: br0").partition("links:")[0]
    found = {each.name: each for each in differences(have, ["web"], fleet(moved))}
    (network,) = [each.after for each in found["db"].changes if each.field == "network"]
    assert (network.source, network.gateway) == ("br0", None)


def test_what_took_up_a_layer_that_was_left_is_as_it_was_asked() -> None:
    """Asked for neither a base nor a source, it is on the base of what an `undefine` left."""
    (job,) = fleet("version: 1\ncontainers: [{name: job}]\n").containers
    asked = Fleet((replace(job, source=None),), {})
    there = Container(
        replace(job, source=None, base=Base("web", 2)), Identity(selinux_label("job"), None)
    )
    assert differences([there], ["web"], asked) == ()


def test_others_are_left_alone_unless_pruned() -> None:
    less = WHOLE.replace("count: 3", "count: 2")
    assert differences(made(WHOLE), ["web"], fleet(less)) == ()
    (found,) = differences(made(WHOLE), ["web"], fleet(less), prune=True)
    assert (found.action, found.name) == (Action.REMOVE, "web-3")


def test_what_is_exported_asks_for_what_there_is() -> None:
    there = made(WHOLE)
    text = as_text(exported([each.spec for each in there], {"web": "/srv/debian.tar"}))
    assert differences(there, ["web"], fleet(text), prune=True) == ()
    assert fleet(text).bases == {"web": "/srv/debian.tar"}


@given(samples_of_any_kind())
def test_so_it_is_of_any_container(sample: Sample) -> None:
    """Whatever `define` would take."""
    there = [Container(sample.spec, sample.identity)]
    text = as_text(exported([sample.spec], {}))
    try:
        found = wanted(parse(text, Path("fleet.yaml")))
    except VirtsecError:
        return  # such as an address that no container can have
    assert differences(there, [], found, prune=True) == ()
