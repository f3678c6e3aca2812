"""Fixtures for what runs at a container's start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.runtime.runtime_samples import Container, container
from virtsec.runtime import judgement

#: Judges a domain's XML; returns the sentence it is refused with, or None.
Judge = Callable[..., str | None]


@pytest.fixture
def stopped(tmp_path: Path) -> Container:
    """A stopped container, its tree and its hook beneath a directory."""
    return container(tmp_path)


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> Judge:
    """The hook's verdict on XML alone, on a host where the security module runs."""
    prepared: list[judgement.Start] = []
    monkeypatch.setattr(judgement, "prepare", prepared.append)
    monkeypatch.setattr(judgement.SELinux, "running", "/")
    monkeypatch.setattr(judgement.Smack, "running", "/")

    def judge(xml: str | bytes, name: str = "vs1", ours: bool = True) -> str | None:
        prepared.clear()
        try:
            judgement.judge(name, xml if isinstance(xml, bytes) else xml.encode())
        except judgement.Refused as refusal:
            assert not prepared
            return str(refusal)
        assert bool(prepared) == ours
        return None

    return judge
