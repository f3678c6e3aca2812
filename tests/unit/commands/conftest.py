"""What every test of a command may rely on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import virtsec.plans.define
import virtsec.plans.tree
import virtsec.plans.undefine
from tests.unit.fakes import FakeLibvirt
from virtsec.commands import (
    bases,
    definition,
    facts,
    fleet,
    limiting,
    linking,
    reaching,
    rollout,
    suggesting,
)
from virtsec.domain.records import NetworkState
from virtsec.host import lock
from virtsec.rootfs.steps import FlushTree
from virtsec.step import Host


@pytest.fixture(autouse=True)
def own_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test has a lock of its own, and leaves the host's alone."""
    own = partial(lock.host_lock, directory=tmp_path / "lock")
    for module in (bases, definition, fleet, limiting, linking, reaching, suggesting):
        monkeypatch.setattr(module, "host_lock", own)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `virtsec setup` installs is there."""
    monkeypatch.setattr("virtsec.host.checks.runtime", lambda _: [])


@pytest.fixture(autouse=True)
def trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trees of containers are there, and nothing is mounted in them."""
    monkeypatch.setattr(definition, "refuse_mounts", lambda _: None)
    for module in (definition, fleet, rollout):
        monkeypatch.setattr(module, "is_gone", lambda _: False)


@pytest.fixture(autouse=True)
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet is made by this process: what others do to its fakes is lost with them."""
    monkeypatch.setattr(rollout, "processors", lambda: 1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a fleet's file may be."""
    return tmp_path / "fleet.yaml"


@dataclass(frozen=True)
class Tree:
    """In place of a step on a tree: remembers in `log`."""

    log: list[str]
    word: str

    def describe(self) -> str:
        return self.word

    def apply(self, host: Host) -> None:
        self.log.append(self.word)

    def undo(self, host: Host) -> None:
        self.log.append(f"undo {self.word}")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[str]]:
    """What was done to trees."""
    done: list[str] = []

    def step(word: str) -> Any:
        return lambda *_args, **_words: Tree(done, word)

    def steps(word: str) -> Any:
        return lambda *_args, **_words: [Tree(done, word)]

    monkeypatch.setattr(virtsec.plans.define, "plan_root", steps("root"))
    monkeypatch.setattr(virtsec.plans.define, "plan_keep", steps("keep"))
    monkeypatch.setattr(FlushTree, "apply", lambda *_: None)
    monkeypatch.setattr(virtsec.plans.tree, "LabelTree", step("LabelTree"))
    for name in ("RestTree", "LeaveTree", "RemoveTree"):
        monkeypatch.setattr(virtsec.plans.undefine, name, step(name))
    monkeypatch.setattr(definition, "inspect_source", lambda *_: None)
    monkeypatch.setattr(definition, "default_source", lambda _: "debian:trixie")
    default = NetworkState("default", True, True, "virbr0")
    monkeypatch.setattr(FakeLibvirt, "networks", lambda _: {"default": default})
    monkeypatch.setattr(facts, "_text", lambda _: "")
    yield done
