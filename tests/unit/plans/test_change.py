"""Containers that are there, changed: what goes with what."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.fakes import record
from tests.unit.plans.test_plan import at, facts
from tests.unit.samples import Sample, sample
from virtsec.host.expose import Expose
from virtsec.plans.change import plan_parts
from virtsec.spec import ContainerSpec, Exposed
from virtsec.step import Step

WEB = sample("web", network=at("192.168.122.10/24"), exposed=(Exposed(8080, 80),))


def changed(have: Sample, **words: object) -> tuple[ContainerSpec, tuple[Step, ...]]:
    """What it becomes by another spec, and how."""
    there = record(have.spec.name, have.xml)
    wanted = replace(have.spec, **words)  # type: ignore[arg-type]
    after, steps = plan_parts(have.container, there, wanted, facts(there))
    return after.spec, steps


def test_a_port_of_the_host_leads_to_the_address_that_the_container_gets() -> None:
    after, steps = changed(WEB, network=at("192.168.122.11/24"))
    assert [each for each in steps if isinstance(each, Expose)] == [Expose("web", WEB.spec, after)]
    _, steps = changed(WEB, init_args=("-v",))
    assert not any(isinstance(each, Expose) for each in steps)
