"""Bases: where they are, and what a container's directory may say of its own."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from types import SimpleNamespace

import pytest

from virtsec.domain.checks import check_spec
from virtsec.errors import BadInput
from virtsec.rootfs.bases import base_at, link_to, tree_of
from virtsec.runtime import disk, view
from virtsec.runtime.refusal import Refused
from virtsec.spec import Base, ContainerSpec

WEB = Base("web", 3)
ODD = (
    "",
    "/",
    "/srv/tree",
    "../_bases/web/3",
    "../_bases/web/three/tree",
    "../_bases/web/3/tree/..",
    "../_bases/../../../tree",
    "../../_bases/web/3/tree",
    "../bases/web/3/tree",
    "../_bases/web:x/3/tree",
    "../_bases/web,x/3/tree",
)


def test_a_link_leads_to_its_base_and_back() -> None:
    assert tree_of(WEB) == PurePosixPath("/var/lib/virtsec/_bases/web/3/tree")
    assert link_to(WEB) == "../_bases/web/3/tree"
    assert base_at(link_to(WEB)) == WEB


@pytest.mark.parametrize("link", [*ODD[:-2], "../_bases/web/03/tree"])
def test_any_other_link_leads_to_none(link: str) -> None:
    assert base_at(link) is None


@pytest.mark.parametrize("link", [each for each in ODD if each])
def test_the_controller_mounts_nothing_on_another_link(link: str, tmp_path: Path) -> None:
    """Nor what the kernel would take for two directories or for an option."""
    (tmp_path / "base").symlink_to(link)
    with pytest.raises(Refused, match="its base is none of virtsec's"):
        view.mount_layers(str(tmp_path), scratch=False)


def test_where_there_is_no_base_nothing_is_mounted(tmp_path: Path) -> None:
    view.mount_layers(str(tmp_path), scratch=True)


@pytest.mark.parametrize("scratch", [False, True])
def test_the_hook_wants_what_the_metadata_says(
    scratch: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(**changes: object) -> str | None:
        said = {"own": str(own), "base": link_to(WEB), "scratch": scratch, "root": f"{own}/rootfs"}
        try:
            disk.check_layers(SimpleNamespace(**said | changes))  # type: ignore[arg-type]
        except Refused as refused:
            return str(refused)
        return None

    own, trusted = tmp_path / "vs1", []
    monkeypatch.setattr(disk, "STORE", str(tmp_path))
    monkeypatch.setattr(disk, "open_trusted", lambda *words: trusted.append(words))
    own.mkdir()
    assert "the base in" in (refusal() or "")
    (own / "base").symlink_to(link_to(WEB))
    if scratch:
        (own / "scratch").mkdir()
    assert refusal() is None
    assert trusted == [(f"{tmp_path}/_bases/web/3/tree", disk.S_IFDIR, 0)]
    assert "the base in" in (refusal(scratch=not scratch) or "")
    assert "the base in" in (refusal(base="") or "")
    assert "the base in" in (refusal(base=link_to(Base("web", 2))) or "")
    assert "its root is not in" in (refusal(root="/srv/vs1") or "")


@pytest.mark.parametrize(
    "spec",
    [
        ContainerSpec("vs1", PurePosixPath("/srv/vs1"), base=WEB),
        ContainerSpec("vs1", PurePosixPath("/var/lib/virtsec/vs1/rootfs"), "/a.tar", base=WEB),
        ContainerSpec("vs1", PurePosixPath("/var/lib/virtsec/vs1/rootfs"), scratch=True),
        ContainerSpec("vs1", PurePosixPath("/var/lib/virtsec/vs1/rootfs"), base=Base("../x")),
    ],
)
def test_what_cannot_be_a_layer_is_told(spec: ContainerSpec) -> None:
    with pytest.raises(BadInput):
        check_spec(spec)
