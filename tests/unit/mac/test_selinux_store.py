"""The policy store: one transaction however many modules, and semodule's own words on failure."""

import bz2
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from virtsec.errors import HostNotReady, PolicyFailed
from virtsec.mac.selinux import store
from virtsec.mac.selinux.module import SELinux
from virtsec.mac.selinux.policy import base_modules
from virtsec.spec import Traffic
from virtsec.step import Host


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A policy store of our own."""
    config = tmp_path / "config"
    config.write_text("# a comment\nSELINUX=enforcing\nSELINUXTYPE=default\n")
    monkeypatch.setattr(store, "CONFIG", config)
    monkeypatch.setattr(store, "STORE", tmp_path / "store")
    return tmp_path / "store/default/active/modules/400"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What semodule was called with, and the module files it was given."""
    seen: list[dict[str, Any]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        files = {Path(word).stem: Path(word).read_text() for word in command if word[-4:] == ".cil"}
        seen.append({"command": command, "files": files})
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return seen


def test_modules_are_read_compressed_or_not(place: Path) -> None:
    for name, content in (("virtsec", b"(a)"), ("virtsec-x", bz2.compress(b"(b)")), ("o", b"")):
        (place / name).mkdir(parents=True)
        (place / name / "cil").write_bytes(content)
    assert store.installed("virtsec") == {"virtsec": "(a)", "virtsec-x": "(b)"}


def test_a_module_that_another_takes_out_meanwhile_is_not_there(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "virtsec").mkdir(parents=True)
    (place / "virtsec" / "cil").write_text("(a)")
    monkeypatch.setattr(store, "names", lambda _: {"virtsec", "virtsec-container-gone"})
    assert store.installed("virtsec") == {"virtsec": "(a)"}


def test_a_store_without_modules_of_ours_is_empty(place: Path) -> None:
    assert not place.exists()
    assert store.installed("virtsec") == {}


def test_any_number_of_modules_is_one_transaction(calls: list[dict[str, Any]]) -> None:
    store.change({"one": "(1)", "two": "(2)"}, ["three"])
    assert len(calls) == 1
    assert calls[0]["files"] == {"one": "(1)", "two": "(2)"}
    assert calls[0]["command"][-2:] == ["-r", "three"]


def test_nothing_to_change_rebuilds_nothing(calls: list[dict[str, Any]]) -> None:
    store.change({}, [])
    assert calls == []


def test_an_upgrade_that_fails_leaves_the_modules_containers_run_under(
    place: Path, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("virtsec.mac.packets.steps.setup_steps", lambda *_: [])
    texts = base_modules()
    for name in ("virtsec", "virtsec-libvirt"):  # an earlier version has no virtsec-host
        (place / name).mkdir(parents=True)
        (place / name / "cil").write_text(f"({name}, of an earlier version)")
    (step,) = SELinux(tmp_path).setup_steps(Traffic())
    for name, text in texts.items():  # as it is once the step was done
        (place / name).mkdir(exist_ok=True)
        (place / name / "cil").write_text(text)
    step.undo(cast(Host, None))
    (call,) = calls
    assert call["files"] == {
        name: f"({name}, of an earlier version)" for name in ("virtsec", "virtsec-libvirt")
    }
    assert call["command"][-2:] == ["-r", "virtsec-host"]


def test_remove_takes_along_what_virsh_left_of_a_container_which_builds_on_the_base(
    place: Path, calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("virtsec.mac.packets.steps.remove_steps", lambda *_: [])
    for name in ("virtsec", "virtsec-container-gone", "virtsec-theirs"):
        (place / name).mkdir(parents=True)
        (place / name / "cil").write_text("(a)")
    (step,) = SELinux(tmp_path).remove_steps()
    step.apply(cast(Host, None))
    (call,) = calls
    assert call["command"][-4:] == ["-r", "virtsec", "-r", "virtsec-container-gone"]


def test_a_failed_load_says_what_semodule_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "libsemanage.add_user: user x not in password file\nFailed to resolve allow statement\n"
    monkeypatch.setattr(
        subprocess, "run", lambda c, **_: subprocess.CompletedProcess(c, 1, "", said)
    )
    with pytest.raises(PolicyFailed, match="Failed to resolve allow statement"):
        store.change({"one": "(1)"}, [])


def test_no_policy_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CONFIG", tmp_path / "none")
    with pytest.raises(HostNotReady):
        store.policy_type()
