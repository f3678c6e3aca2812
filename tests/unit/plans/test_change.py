"""Containers that are there, changed: what goes with what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from tests.unit.fakes import record
from tests.unit.plans.test_plan import at, facts, names
from tests.unit.samples import Sample, sample
from virtsec.errors import Refused
from virtsec.host.expose import Expose
from virtsec.plans.change import plan_parts
from virtsec.spec import Base, ContainerSpec, Exposed, InitPolicy
from virtsec.step import Step

WEB = sample("web", network=at("192.168.122.10/24"), exposed=(Exposed(8080, 80),))


def changed(
    have: Sample, running: bool = False, **words: object
) -> tuple[ContainerSpec, tuple[Step, ...]]:
    """What it becomes by another spec, and how."""
    there = record(have.spec.name, have.xml, running=running)
    wanted = replace(have.spec, **words)  # type: ignore[arg-type]
    after, steps = plan_parts(have.container, there, wanted, facts(there))
    return after.spec, steps


def test_a_port_of_the_host_leads_to_the_address_that_the_container_gets() -> None:
    after, steps = changed(WEB, network=at("192.168.122.11/24"))
    assert [each for each in steps if isinstance(each, Expose)] == [Expose("web", WEB.spec, after)]
    _, steps = changed(WEB, init_args=("-v",))
    assert not any(isinstance(each, Expose) for each in steps)


def test_another_init_is_kept_before_it_is_the_one_to_be_put_back() -> None:
    pristine = sample("web", init_policy=InitPolicy.PRISTINE)
    _, steps = changed(pristine, init=PurePosixPath("/bin/app"))
    assert names(steps) == ["KeepInit", "RedefineDomain"]
    _, steps = changed(pristine, init_args=("-v",))
    assert names(steps) == ["RedefineDomain"]
    _, steps = changed(sample("web"), init=PurePosixPath("/bin/app"))
    assert names(steps) == ["RedefineDomain"]


def test_an_init_on_a_base_is_kept_while_nothing_runs() -> None:
    layer = sample("web", init_policy=InitPolicy.PRISTINE, base=Base("web", 1))
    _, steps = changed(layer, init=PurePosixPath("/bin/app"))
    assert names(steps) == ["InView", "RedefineDomain"]
    with pytest.raises(Refused, match="web is running, and cannot be given another init"):
        changed(layer, running=True, init=PurePosixPath("/bin/app"))
