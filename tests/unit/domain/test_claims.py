"""What domains have already, ours or not, running or not."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import PurePosixPath

from tests.unit.fakes import foreign, record
from tests.unit.samples import SAMPLES
from virtsec.domain.claims import claims, mac_addresses, static_addresses
from virtsec.spec import IdRange


def test_a_foreign_domain_keeps_its_label_ids_address_and_root() -> None:
    found = claims([foreign(start=500000)])
    assert found.labels == {"system_u:system_r:container_t:s0:c0,c1"}
    assert set(found.ids) == {IdRange(500000)}
    assert found.addresses == {
        ("network", "default", ip_address("192.168.122.50")): "theirs",
    }
    assert found.roots == {PurePosixPath("/srv/foreign"): "theirs"}


def test_the_label_libvirt_gave_a_running_domain_is_taken_too() -> None:
    live = foreign(running=True)
    assert live.live_xml is not None
    live = replace(live, live_xml=live.live_xml.replace("s0:c0,c1", "s0:c7,c9"))
    assert "system_u:system_r:container_t:s0:c7,c9" in claims([live]).labels


def test_metadata_keeps_a_label_and_ids_that_were_edited_away() -> None:
    one = SAMPLES["unprivileged"]
    xml = one.xml.replace("<seclabel", "<other").replace("</seclabel", "</other")
    xml = xml.replace("<idmap>", "<gone>").replace("</idmap>", "</gone>")
    found = claims([record("vs1", xml)])
    assert found.labels == {one.identity.label.process}
    assert set(found.ids) == {one.identity.ids}


def test_addresses_of_a_domain_are_read_without_prefix() -> None:
    assert static_addresses(SAMPLES["static"].xml) == ("192.168.122.10", "fd00::a")
    assert mac_addresses(foreign().xml) == ("52:54:00:0f:00:01",)
