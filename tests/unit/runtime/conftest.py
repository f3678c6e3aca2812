"""Fixtures for what runs at a container's start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.runtime.inits import HOST
from tests.unit.runtime.runtime_samples import Container, container
from virtsec.runtime.checks import judged
from virtsec.runtime.domain import parse
from virtsec.runtime.refusal import Refused

#: Judges a domain's XML; returns the sentence it is refused with, or None.
Judge = Callable[..., str | None]


@pytest.fixture
def stopped(tmp_path: Path) -> Container:
    """A stopped container, its tree and its hook beneath a directory."""
    return container(tmp_path)


@pytest.fixture
def canary(stopped: Container) -> Path:
    """A file of the host's: whatever init is made to be, this one never changes."""
    path = stopped.base / "canary"
    path.write_bytes(b"the host's own")
    path.chmod(0o755)
    stopped.label(path, HOST)
    return path


@pytest.fixture
def judge() -> Judge:
    """The hook's verdict on XML alone."""

    def judge(xml: str | bytes, name: str = "vs1", ours: bool = True) -> str | None:
        try:
            start = judged(name, parse(xml if isinstance(xml, bytes) else xml.encode()))
        except Refused as refusal:
            return refusal.sentence
        assert (start is not None) == ours
        return None

    return judge
