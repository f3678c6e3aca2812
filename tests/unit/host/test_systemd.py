"""What systemctl is asked for, and what it shows."""

from pathlib import Path

import pytest

from virtsec.host import systemd
from virtsec.host.systemd import Systemd, percent


@pytest.mark.parametrize(
    ("shown", "quota"),
    [
        ("1s", "100%"),
        ("500ms", "50%"),
        ("1min 4s", "6400%"),
        ("1s 500ms", "150%"),
        ("infinity", ""),
    ],
)
def test_processor_time_in_a_second_is_a_quota(shown: str, quota: str) -> None:
    assert percent(shown) == quota


def test_a_slice_is_stopped_with_its_group_unless_something_runs_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle, busy, gone = (f"machine-{each}.slice" for each in ("idle", "busy", "gone"))
    events = {
        tmp_path / idle / "cgroup.events": "populated 0\nfrozen 0\n",
        tmp_path / busy / "cgroup.events": "populated 1\nfrozen 0\n",
    }
    for each in (idle, busy):
        (tmp_path / each / "start").mkdir(parents=True)
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(systemd, "_GROUPS", tmp_path)
    monkeypatch.setattr(systemd, "read", events.get)
    monkeypatch.setattr(systemd, "run", lambda _, *words: asked.append(words))
    Systemd().forget([idle, busy, gone])
    assert asked == [("revert", idle, busy, gone), ("stop", idle, gone)]
    assert [each.name for each in tmp_path.iterdir()] == [busy]
