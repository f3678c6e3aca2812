"""Finding init through /proc."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from virtsec.commands.live import init_name, init_pid, wait_for_init


def process(proc: Path, pid: int, children: str, status: str, comm: str = "x") -> None:
    task = proc / str(pid) / "task" / str(pid)
    task.mkdir(parents=True)
    (task / "children").write_text(children)
    (proc / str(pid) / "status").write_text(status)
    (proc / str(pid) / "comm").write_text(f"{comm}\n")


def test_init_is_the_child_that_is_number_one_inside(tmp_path: Path) -> None:
    process(tmp_path, 100, "101 102 ", "Name:\tlibvirt_lxc\nNSpid:\t100\n")
    process(tmp_path, 101, "", "Name:\thelper\nNSpid:\t101\n")
    process(tmp_path, 102, "", "Name:\tsystemd\nNSpid:\t102\t1\n", "systemd")
    assert init_pid(100, tmp_path) == 102
    assert init_name(100, tmp_path) == "systemd"


def test_a_controller_without_init_or_gone_has_none(tmp_path: Path) -> None:
    process(tmp_path, 100, "101 ", "NSpid:\t100\n")
    assert init_pid(100, tmp_path) is None
    assert init_pid(7, tmp_path) is None
    assert init_pid(None, tmp_path) is None
    assert init_name(None, tmp_path) is None


def test_init_is_waited_for_until_it_is_no_longer_the_controller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process(tmp_path, 100, "102 ", "NSpid:\t100\n")
    process(tmp_path, 102, "", "NSpid:\t102\t1\n")
    controller, systemd = tmp_path / "controller", tmp_path / "systemd"
    for each in (controller, systemd):
        each.touch()
    init = tmp_path / "102" / "exe"
    (tmp_path / "100" / "exe").symlink_to(controller)
    init.symlink_to(controller)
    slept = []

    def execute(seconds: float) -> None:
        slept.append(seconds)
        init.unlink()
        init.symlink_to(systemd)

    monkeypatch.setattr(time, "sleep", execute)
    assert wait_for_init(100, tmp_path) == 102
    assert len(slept) == 1
    assert wait_for_init(7, tmp_path) is None
    assert wait_for_init(None, tmp_path) is None
    assert len(slept) == 1
