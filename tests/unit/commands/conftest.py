"""What every test of a command may rely on."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from virtsec.commands import definition, limiting, linking, suggesting
from virtsec.host import lock


@pytest.fixture(autouse=True)
def own_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each test has a lock of its own, and leaves the host's alone."""
    own = partial(lock.host_lock, directory=tmp_path / "lock")
    for module in (definition, limiting, linking, suggesting):
        monkeypatch.setattr(module, "host_lock", own)


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `virtsec setup` installs is there."""
    monkeypatch.setattr("virtsec.host.checks.runtime", lambda _: [])
