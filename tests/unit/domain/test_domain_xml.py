"""A domain's XML: what stands in it, and that it comes back as what it was made from."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from lxml import etree

from tests.unit.domain.specs import samples_of_any_kind
from tests.unit.samples import GOLDEN, SAMPLES, Sample, sample
from virtsec.domain import capability, metadata
from virtsec.domain.elements import ELEMENTS
from virtsec.domain.verdict import differences
from virtsec.errors import BadInput
from virtsec.runtime.checks import KEEP

EVERY = pytest.mark.parametrize("name", SAMPLES)


@EVERY
def test_the_xml_is_the_golden_one(name: str) -> None:
    """`VIRTSEC_GOLDEN=write pytest` writes them anew, for git to show what changed."""
    path = GOLDEN / f"{name}.xml"
    if os.environ.get("VIRTSEC_GOLDEN") == "write":
        path.write_text(SAMPLES[name].xml)
    assert SAMPLES[name].xml == path.read_text()


def test_every_golden_file_belongs_to_a_sample() -> None:
    assert {path.stem for path in GOLDEN.glob("*.xml")} == set(SAMPLES)
    assert {path.stem for path in (GOLDEN / "libvirt").glob("*.xml")} == set(SAMPLES)


@EVERY
def test_what_libvirt_prints_is_read_as_what_was_defined(name: str) -> None:
    printed = (GOLDEN / "libvirt" / f"{name}.xml").read_text()
    assert metadata.read(printed) == SAMPLES[name].container


def test_what_libvirt_adds_to_a_running_domain_is_passed_over() -> None:
    running = (GOLDEN / "libvirt" / "live" / "unprivileged.xml").read_text()
    assert metadata.read(running) == SAMPLES["unprivileged"].container
    assert differences("vs1", running) == ()


@EVERY
def test_the_hook_starts_what_virtsec_defines_and_libvirt_prints(name: str) -> None:
    printed = (GOLDEN / "libvirt" / f"{name}.xml").read_text()
    container = SAMPLES[name].spec.name
    assert differences(container, SAMPLES[name].xml) == ()
    assert differences(container, printed) == ()


@given(samples_of_any_kind())
@settings(max_examples=60, deadline=None)
def test_any_container_is_read_back_from_its_xml(any_sample: Sample) -> None:
    assert metadata.read(any_sample.xml, any_sample.spec.autostart) == any_sample.container


def test_no_container_keeps_a_capability_over_the_security_module() -> None:
    for privileged in (True, False):
        kept = capability.keep(privileged)
        assert kept <= set(KEEP)
        assert not kept & {"mac_admin", "mac_override", "sys_module", "sys_rawio", "mknod"}


@EVERY
def test_root_and_network_namespace_are_always_there(name: str) -> None:
    domain = etree.fromstring(SAMPLES[name].xml)
    targets = [node.get("dir") for node in domain.iterfind("devices/filesystem/target")]
    assert targets[0] == "/"
    assert domain.find("features/privnet") is not None
    assert domain.find("features/capabilities[@policy='deny']") is not None


def test_only_a_privileged_container_lacks_an_id_map() -> None:
    for name, one in SAMPLES.items():
        has = etree.fromstring(one.xml).find("idmap") is not None
        assert has is (name != "privileged")


def test_a_domain_without_our_metadata_is_not_ours() -> None:
    other = "<domain><name>x</name><metadata><a xmlns='urn:other'/></metadata></domain>"
    assert metadata.read(other) is None


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('version="1"', 'version="2"', "version 2"),
        ('version="1"', "", "version"),
        ('kind="unprivileged"', 'kind="half"', "half"),
        ('kind="unprivileged"', 'kind="privileged"', "<ids>"),
        ('start="1879048192" count="65536"/>', 'start="x" count="65536"/>', "<ids>"),
        ('start="1879048192" count="65536"/>', 'start="0" count="65536"/>', "ids"),
        ('start="1879048192" count="65536"/>', 'start="4294967000" count="65536"/>', "ids"),
        ('policy="own"', 'policy="mine"', "mine"),
        (' model="selinux" process', " process", "model"),
        ("virtsec:controller", "virtsec:other", "controller"),
        ("virtsec:root", "virtsec:tree", "root"),
        ('<memory unit="MiB">512', '<memory unit="MiB">much', "memory"),
        ('<memory unit="MiB">', '<memory unit="stone">', "memory"),
        ('<vcpu placement="static">1', '<vcpu placement="static">few', "vcpu"),
    ],
)
def test_broken_metadata_is_told_by_its_element(old: str, new: str, named: str) -> None:
    xml = SAMPLES["unprivileged"].xml
    assert old in xml
    with pytest.raises(BadInput) as error:
        metadata.read(xml.replace(old, new))
    assert named in error.value.sentence


@pytest.mark.parametrize("name", ["full", "layer"])
def test_every_attribute_that_must_be_there_is_missed_by_its_name(name: str) -> None:
    ours = etree.fromstring(SAMPLES[name].xml).find(f"metadata/{metadata.TAG}")
    for at, node in enumerate(ours):
        tag = etree.QName(node).localname
        for attribute in ELEMENTS[tag].must:
            domain = etree.fromstring(SAMPLES[name].xml)
            del domain.find(f"metadata/{metadata.TAG}")[at].attrib[attribute]
            with pytest.raises(BadInput, match=f"lacks the attribute '{attribute}' of <{tag}>"):
                metadata.read(etree.tostring(domain, encoding="unicode"))


def test_metadata_without_ids_is_not_read_as_privileged() -> None:
    xml = SAMPLES["unprivileged"].xml
    line = next(line for line in xml.splitlines() if "virtsec:ids" in line)
    with pytest.raises(BadInput, match="lacks <ids>"):
        metadata.read(xml.replace(line, ""))


def test_what_a_user_added_is_passed_over() -> None:
    domain = etree.fromstring(SAMPLES["static"].xml)
    (devices,) = domain.iterfind("devices")
    etree.SubElement(devices, "interface", type="direct")
    etree.SubElement(devices, "hostdev", mode="capabilities")
    etree.SubElement(domain, "description").text = "mine"
    assert metadata.read(etree.tostring(domain, encoding="unicode")) == SAMPLES["static"].container


def test_memory_is_read_in_every_unit_of_libvirt() -> None:
    xml = SAMPLES["unprivileged"].xml
    for unit, amount in (("b", 2**30), ("KiB", 2**20), ("k", 2**20), ("MiB", 1024), ("GiB", 1)):
        changed = xml.replace('<memory unit="MiB">512', f'<memory unit="{unit}">{amount}')
        found = metadata.read(changed)
        assert found is not None
        assert found.spec.limits.memory_mib == 1024


def test_entities_are_not_expanded() -> None:
    bomb = "<!DOCTYPE d [<!ENTITY a 'x'>]><domain><name>&a;</name></domain>"
    assert metadata.read(bomb) is None
    with pytest.raises(BadInput):
        metadata.read("<domain><name>x</domain>")


def test_autostart_is_not_in_the_xml() -> None:
    one = sample("vs1", autostart=True)
    assert metadata.read(one.xml) == replace(one.container, spec=replace(one.spec, autostart=False))
