"""Many containers from one look at a host: each has what no other one has."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from tests.unit.fakes import FakeMac, foreign
from tests.unit.plans.test_plan import at, facts, ours, spec
from virtsec.errors import BadInput, Refused
from virtsec.mac.selinux import store
from virtsec.mac.selinux.module import SELinuxLabels
from virtsec.plans.offer import Offer
from virtsec.spec import ApartBy, IdRange


def test_each_gets_a_label_and_ids_that_nobody_has() -> None:
    offer = Offer(facts(foreign(), ours()), FakeMac())
    found = [offer.identified(spec(f"vs{n}")) for n in range(2, 200)]
    labels = {each.identity.label.process.rpartition(":")[2] for each in found}
    ids = {each.identity.ids for each in found}
    assert len(labels) == len(ids) == len(found)


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (spec("vs2"), "a domain vs2 already"),
        (spec("vs3", rootfs=PurePosixPath("/srv/of/vs2")), "one is within the other"),
        (spec("vs3", rootfs=PurePosixPath("/srv/of/vs2/deep/er")), "one is within the other"),
        (spec("vs3", rootfs=PurePosixPath("/srv/of")), "one is within the other"),
        (spec("vs3", network=at("192.168.122.12/24")), "vs2 has the address"),
    ],
)
def test_what_the_one_before_has_taken_is_refused(second: object, sentence: str) -> None:
    offer = Offer(facts(), FakeMac())
    first = spec("vs2", rootfs=PurePosixPath("/srv/of/vs2"), network=at("192.168.122.12/24"))
    offer.identified(first)
    with pytest.raises((BadInput, Refused), match=sentence):
        offer.identified(second)  # type: ignore[arg-type]


def test_a_tree_that_was_left_keeps_its_ids_and_no_other_gets_them() -> None:
    left = PurePosixPath("/var/lib/virtsec/vs3/rootfs")
    kept = IdRange(0x70000000)
    offer = Offer(facts(trees={left: kept}), FakeMac())
    ids = [offer.identified(spec(name)).identity.ids for name in ("vs2", "vs3", "vs4")]
    assert ids[1] == kept
    assert len(set(ids)) == 3


def test_of_selinuxs_pairs_none_is_given_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("SELINUXTYPE=default\n")
    monkeypatch.setattr(store, "CONFIG", config)
    monkeypatch.setattr(store, "STORE", tmp_path / "store")
    labels = SELinuxLabels([])
    given = [labels.give(f"vs{n}", ApartBy.CATEGORY).process for n in range(10_000)]
    assert len(set(given)) == len(given)
