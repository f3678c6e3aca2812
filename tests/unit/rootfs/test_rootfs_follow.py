"""A container's next layer in the place of the one it had, with what stands beside the tree."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from virtsec.domain.keep import FILES
from virtsec.errors import BadInput
from virtsec.names import check_name
from virtsec.rootfs import layers
from virtsec.rootfs.bases import BASES, link_to
from virtsec.rootfs.follow import RemoveBeside, TakePlace, beside
from virtsec.rootfs.layers import base_of
from virtsec.spec import STORE, Base
from virtsec.step import Host

BEFORE, NEWEST = Base("web", 1), Base("web", 2)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PurePosixPath:
    """A store with a container's layer, what hook and controller read, and its next layer."""
    for name, base in (("vs1", BEFORE), ("_vs1", NEWEST)):
        (tmp_path / name / "rootfs").mkdir(parents=True)
        (tmp_path / name / "work").mkdir()
        (tmp_path / name / "base").symlink_to(link_to(base))
    for file in FILES:
        (tmp_path / "vs1" / file).write_text(f"the {file} of vs1")
    monkeypatch.setattr(layers, "STORE", PurePosixPath(tmp_path))
    return PurePosixPath(tmp_path)


def test_beside_a_container_is_neither_another_nor_the_bases() -> None:
    """What is there is removed, or takes a container's place."""
    assert beside("vs1") == STORE / "_vs1/rootfs"
    for name in ("vs1", "bases"):
        own = beside(name).parent
        assert own.parent == STORE
        assert own != BASES
        with pytest.raises(BadInput):
            check_name(own.name)


def kept(store: PurePosixPath) -> dict[str, str]:
    """What hook and controller read of the container."""
    own = Path(store, "vs1")
    return {file: (own / file).read_text() for file in FILES if (own / file).exists()}


def test_what_the_controller_does_and_the_kept_init_stay_the_containers(
    store: PurePosixPath, host: Host
) -> None:
    """The hook refuses a start without them, and nothing else makes them again."""
    before = kept(store)
    assert set(before) == {"orders", "init.pristine"}
    TakePlace(store / "vs1/rootfs", store / "_vs1/rootfs", NEWEST).apply(host)
    assert (base_of(store / "vs1/rootfs"), kept(store)) == (NEWEST, before)
    RemoveBeside(store / "_vs1/rootfs", store).apply(host)
    assert os.listdir(store) == ["vs1"]
    assert kept(store) == before


def test_what_an_earlier_run_that_was_cut_off_left_beside_is_not_taken(
    store: PurePosixPath, host: Host
) -> None:
    Path(store, "_vs1/orders").write_text("files 1\n")
    Path(store, "vs1/orders").unlink()
    TakePlace(store / "vs1/rootfs", store / "_vs1/rootfs", NEWEST).apply(host)
    assert set(kept(store)) == {"init.pristine"}


def test_who_is_turned_back_has_all_as_before_and_nothing_of_it_beside(
    store: PurePosixPath, host: Host
) -> None:
    before = kept(store)
    step = TakePlace(store / "vs1/rootfs", store / "_vs1/rootfs", NEWEST)
    step.apply(host)
    step.undo(host)
    assert (base_of(store / "vs1/rootfs"), kept(store)) == (BEFORE, before)
    assert sorted(os.listdir(store / "_vs1")) == ["base", "rootfs", "work"]
