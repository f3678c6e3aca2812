"""A definition with another network, other mounts and another init; what else is in it stays."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface
from pathlib import PurePosixPath

import pytest

from tests.unit.samples import SAMPLES
from virtsec.domain import metadata
from virtsec.domain.xml import of_other_parts
from virtsec.spec import Mount, Network, NetworkKind

MAC = "<mac address='52:54:00:01:02:03'/>"
THEIRS = (
    "<filesystem type='ram'><source usage='1'/><target dir='/ram'/></filesystem>"
    "<filesystem type='mount'><source dir='/srv/theirs'/><target dir='/theirs'/></filesystem>"
)
NETWORKS = (
    Network(),
    Network(NetworkKind.NETWORK, "other", (ip_interface("192.0.2.9/24"),)),
    Network(NetworkKind.BRIDGE, "br0", (ip_interface("fd00::9/64"),)),
    Network(NetworkKind.NONE, ""),
)


@pytest.mark.parametrize("network", NETWORKS, ids=lambda each: f"{each.kind}-{each.source}")
@pytest.mark.parametrize("name", SAMPLES)
def test_it_says_what_the_container_now_is(name: str, network: Network) -> None:
    before = SAMPLES[name].container
    shared = (Mount(PurePosixPath("/srv/new"), PurePosixPath("/new"), idmap=False),)
    spec = replace(
        before.spec,
        network=network,
        mounts=shared,
        init=PurePosixPath("/bin/other"),
        init_args=("-x",),
    )
    after = replace(before, spec=spec)
    xml = of_other_parts(SAMPLES[name].xml, before, after)
    assert metadata.read(xml, spec.autostart) == after
    back = of_other_parts(xml, after, before)
    assert metadata.read(back, spec.autostart) == before


def test_what_somebody_added_and_its_own_mac_address_stay() -> None:
    before = SAMPLES["unprivileged"].container
    xml = SAMPLES["unprivileged"].xml
    assert xml.count("</interface>") == 1
    known = xml.replace("<source network", f"{MAC}<source network", 1)
    edited = known.replace("</devices>", f"{THEIRS}</devices>")
    spec = replace(before.spec, network=NETWORKS[2], mounts=())
    changed = of_other_parts(edited, before, replace(before, spec=spec))
    for kept in ("52:54:00:01:02:03", "/srv/theirs", "/ram"):
        assert changed.count(kept) == 1
    assert changed.count("<interface") == 1
