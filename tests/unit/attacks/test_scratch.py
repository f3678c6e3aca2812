"""Where nothing can be made an attack is not tried: that is no refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from virtsec.attacks.probes import calls


def test_files_are_made_where_they_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_SCRATCH", (str(tmp_path / "gone"), "/proc/self", str(tmp_path)))
    assert calls.scratch() == str(tmp_path)


def test_where_nothing_can_be_made_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_SCRATCH", ("/proc/self",))
    with pytest.raises(RuntimeError, match="nothing can be made in /proc/self"):
        calls.scratch()
