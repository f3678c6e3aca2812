"""set --privileged: the definition becomes the other kind's, and what somebody added stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.fakes import FakeMac, foreign, record
from tests.unit.samples import SAMPLES, Sample
from virtsec.domain.document import parse
from virtsec.domain.metadata import CONTROLLER, read
from virtsec.domain.steps import RedefineDomain
from virtsec.domain.verdict import differences
from virtsec.domain.xml import domain_xml, of_other_kind
from virtsec.errors import Refused
from virtsec.mac.steps import ReplacePolicies
from virtsec.plans.host import HostFacts
from virtsec.plans.tree import plan_kind
from virtsec.rootfs.owners import GiveTree
from virtsec.rootfs.steps import FlushTree
from virtsec.spec import IdRange


def facts(sample: Sample) -> HostFacts:
    """A host with the sample and a domain of somebody else's."""
    return HostFacts(
        domains=(record(sample.spec.name, sample.xml), foreign("theirs")),
        subordinate=(),
        networks={},
        models=frozenset({"selinux"}),
        controller=CONTROLLER,
    )


@pytest.mark.parametrize("name", SAMPLES)
def test_there_it_is_what_define_would_have_made_and_back_it_is_what_it_was(name: str) -> None:
    sample = SAMPLES[name]
    other = not sample.spec.privileged
    ids = None if other else IdRange(7 * 65536)
    spec = replace(sample.spec, privileged=other)
    identity = replace(sample.identity, ids=ids)
    after = replace(sample.container, spec=spec, identity=identity)
    there = of_other_kind(sample.xml, after)
    assert not differences(spec.name, there)
    made = domain_xml(spec, identity, sample.seclabel, CONTROLLER)
    assert elements(there) == elements(made)
    back = of_other_kind(there, sample.container)
    assert elements(back) == elements(sample.xml)
    assert read(back) == read(sample.xml)


def elements(xml: str) -> list[str]:
    """What a definition says, in any order."""
    return sorted(
        f"{node.getroottree().getelementpath(node).split('[')[0]} {sorted(node.attrib.items())} "
        f"{(node.text or '').strip()}"
        for node in parse(xml, "it").iter("{*}*")
    )


def test_what_somebody_added_stays() -> None:
    sample = SAMPLES["unprivileged"]
    added = sample.xml.replace("<privnet/>", "<privnet/><acpi/>").replace(
        "</capabilities>", '<mknod state="off"/></capabilities>'
    )
    spec = replace(sample.spec, privileged=True)
    identity = replace(sample.identity, ids=None)
    after = replace(sample.container, spec=spec, identity=identity)
    domain = parse(of_other_kind(added, after), "it")
    assert domain.find("features/acpi") is not None
    assert [each.get("state") for each in domain.iterfind("features/capabilities/mknod")] == ["off"]
    assert domain.find("idmap") is None


def test_its_policy_allows_more_last_and_less_first() -> None:
    mac = FakeMac()
    one = SAMPLES["unprivileged"]
    there = record(one.spec.name, one.xml)
    _, steps = plan_kind(one.container, there, facts(one), mac, privileged=True)
    assert [type(each) for each in steps] == [GiveTree, FlushTree, RedefineDomain, ReplacePolicies]
    other = SAMPLES["privileged"]
    there = record(other.spec.name, other.xml)
    after, steps = plan_kind(other.container, there, facts(other), mac, privileged=False)
    assert [type(each) for each in steps] == [ReplacePolicies, GiveTree, FlushTree, RedefineDomain]
    assert after.identity.ids is not None
    assert after.identity.label == other.identity.label


def test_one_that_runs_is_left_alone() -> None:
    one = SAMPLES["unprivileged"]
    there = record(one.spec.name, one.xml, running=True)
    with pytest.raises(Refused, match="is running, and cannot be shifted"):
        plan_kind(one.container, there, facts(one), FakeMac(), privileged=True)
