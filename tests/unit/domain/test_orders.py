"""What a controller is ordered to do, and where that stands."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from tests.unit.fakes import fake_host
from tests.unit.samples import SAMPLES
from virtsec.domain.metadata import Container
from virtsec.domain.orders import KeepOrders, kept, orders
from virtsec.errors import RootfsFailed
from virtsec.spec import IdRange, Mount


def container(files: int | None, *mounts: Mount) -> Container:
    """An unprivileged one with this limit and these mounts."""
    one = SAMPLES["unprivileged"].container
    spec = replace(one.spec, mounts=mounts, limits=replace(one.spec.limits, files=files))
    return replace(one, spec=spec, identity=replace(one.identity, ids=IdRange(655360)))


def test_there_is_a_line_for_each() -> None:
    data, logs = PurePosixPath("/srv/data"), PurePosixPath("/var/log/web")
    assert orders(container(None, Mount(data, data))) == ""
    mapped = (Mount(data, data, idmap=True), Mount(logs, logs), Mount(logs, data, idmap=True))
    expected = "files 500\nidmap 655360 /srv/data\nidmap 655360 /var/log/web\n"
    assert orders(container(500, *mapped)) == expected


def test_they_are_written_changed_and_taken_back(tmp_path: Path) -> None:
    store, host = PurePosixPath(tmp_path, "store"), fake_host()
    first = KeepOrders("vs1", "", "files 500\n", store)
    first.apply(host)
    assert kept("vs1", store) == "files 500\n"
    file = Path(store, "vs1/orders")
    assert file.stat().st_mode & 0o777 == 0o600
    second = KeepOrders("vs1", "files 500\n", "files 600\n", store)
    second.apply(host)
    assert kept("vs1", store) == "files 600\n"
    second.undo(host)
    assert kept("vs1", store) == "files 500\n"
    first.undo(host)
    assert not Path(store, "vs1").exists()
    assert kept("vs1", store) == ""


def test_where_they_cannot_be_written_those_before_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, host = PurePosixPath(tmp_path, "store"), fake_host()
    KeepOrders("vs1", "", "files 500\n", store).apply(host)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RootfsFailed, match=r"vs1/orders is full"):
        KeepOrders("vs1", "files 500\n", "files 600\n", store).apply(host)
    assert os.listdir(store / "vs1") == ["orders"]
    assert kept("vs1", store) == "files 500\n"
