"""What `info` says of an edited domain is what the hook will say."""

from __future__ import annotations

import pytest

from tests.unit.samples import SAMPLES
from virtsec.domain.verdict import differences


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("<seclabel", "<other", "security label"),
        ("<chown", '<mac_admin state="on"/><chown', "mac_admin"),
        ('<source dir="/var/lib/virtsec/vs1/rootfs"/>', '<source dir="/"/>', "root"),
        ("<emulator>/usr/libexec/virtsec/controller", "<emulator>/usr/lib/x", "emulator"),
        ('policy="deny"', 'policy="allow"', "capabilities"),
        ('<uid start="0" target="1879048192"', '<uid start="0" target="0"', "id map"),
        ("<virtsec:root", "<virtsec:tree", "metadata"),
    ],
)
def test_each_edit_that_weakens_confinement_is_told(old: str, new: str, named: str) -> None:
    xml = SAMPLES["unprivileged"].xml
    assert old in xml
    changed = xml.replace(old, new)
    if new == "<other":
        changed = changed.replace("</seclabel", "</other")
    told = differences("vs1", changed)
    assert any(named in sentence for sentence in told), told


def test_every_difference_is_told_not_only_the_first() -> None:
    xml = SAMPLES["unprivileged"].xml
    xml = xml.replace("<chown", '<mac_admin state="on"/><chown').replace('"deny"', '"allow"')
    assert len(differences("vs1", xml)) == 2


def test_other_edits_are_no_difference() -> None:
    xml = SAMPLES["unprivileged"].xml
    xml = xml.replace('"MiB">512', '"MiB">2048').replace("<name>", "<title>mine</title><name>")
    assert differences("vs1", xml) == ()
