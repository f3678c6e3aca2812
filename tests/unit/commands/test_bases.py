"""base remove, on what a run that was killed left."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

import virtsec.rootfs.bases
from tests.unit.commands.conftest import Tree
from tests.unit.fakes import defined, fake_host
from tests.unit.samples import sample
from virtsec.commands import bases
from virtsec.commands.bases import Removed, remove_base
from virtsec.commands.find import find_ours
from virtsec.errors import Failed, HostNotReady, NotFound
from virtsec.plans import tree
from virtsec.rootfs import steps, unfinished
from virtsec.spec import Base
from virtsec.step import Host

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may note a tree as unfinished")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the first generation of a base called web is made."""
    store = PurePosixPath(tmp_path / "store")
    for module in (virtsec.rootfs.bases, bases, steps):
        monkeypatch.setattr(module, "BASES", store / "_bases")
    monkeypatch.setattr(bases, "STORE", store)
    place = Path(store, "_bases/web/1")
    place.mkdir(parents=True)
    return place


def begin(path: Path) -> None:
    """A tree that virtsec is making, with something in it."""
    unfinished.make(PurePosixPath(path))
    (path / "big").write_text("big")


@pytest.mark.parametrize("left", [["tree.partial"], ["tree"], ["tree", "tree.partial"], []])
def test_a_base_that_was_cut_off_is_gone_when_it_is_said_to_be(
    place: Path, left: list[str]
) -> None:
    for name in left:
        begin(place / name)
    (place / ".tree.partial").mkdir()
    assert remove_base("web", fake_host()) == Removed("web")
    assert list(place.parents[2].iterdir()) == []
    with pytest.raises(NotFound):
        remove_base("web", fake_host())


def test_a_whole_base_goes_with_what_was_cut_off_of_the_next(place: Path) -> None:
    (place / "tree/etc").mkdir(parents=True)
    (place.parent / "2").mkdir()
    begin(place.parent / "2/tree.partial")
    assert remove_base("web", fake_host()) == Removed("web")
    assert list(place.parents[2].iterdir()) == []


@pytest.mark.parametrize("theirs", ["tree.partial", "notes"])
def test_what_is_somebody_elses_stays_and_is_told(place: Path, theirs: str) -> None:
    (place / "tree").mkdir()
    (place / theirs).mkdir()
    (place / theirs / "precious").touch()
    for _ in range(2):
        with pytest.raises(Failed, match="something that is not virtsec's"):
            remove_base("web", fake_host())
        assert [each.name for each in place.iterdir()] == [theirs]
        assert (place / theirs / "precious").exists()


@pytest.mark.parametrize("ask", [bases.base_names, lambda: bases.newest_base("web")])
def test_who_may_not_look_at_bases_is_told_to_be_root(
    ask: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "iterdir", refused)
    monkeypatch.setattr("virtsec.kernel.privilege.os.geteuid", lambda: 65534)
    with pytest.raises(HostNotReady):
        ask()


def test_what_its_layer_was_does_not_come_back_when_a_part_of_it_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next layer, which is whole, would go instead."""
    done: list[str] = []

    class Removal(Tree):
        def apply(self, host: Host) -> None:
            super().apply(host)
            if done.count("RemoveBeside") == 2:
                raise Failed("It cannot be removed.")

    def step(word: str) -> Callable[..., Tree]:
        kind = Removal if word == "RemoveBeside" else Tree
        return lambda *_args, **_words: kind(done, word)

    followed = ("MakeStore", "CarryChanges", "InView", "FlushTree", "TakePlace", "KeepTree")
    for name in (*followed, "RemoveBeside"):
        monkeypatch.setattr(tree, name, step(name))
    monkeypatch.setattr(tree, "lay", lambda *_args, **_words: ())
    monkeypatch.setattr(bases, "RemoveBeside", step("RemoveBeside"))
    monkeypatch.setattr(bases, "newest_base", lambda name: Base(name, 2))
    monkeypatch.setattr(bases, "base_of", lambda _: Base("web", 1))
    host = fake_host(defined("vs1", sample("vs1", base=Base("web", 1)).xml))
    with pytest.raises(Failed, match="cannot be removed"):
        bases.follow("vs1", host)
    assert "TakePlace" in done
    assert "undo TakePlace" not in done
    assert find_ours("vs1", host)[1].spec.base == Base("web", 2)
