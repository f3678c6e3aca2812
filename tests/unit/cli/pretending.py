"""The command line on a host that is not there, as a program of its own; see `test_surroundings`.

It has one container of virtsec's, which runs, and one domain of somebody else's.
"""

from __future__ import annotations

import sys
from typing import Any
from unittest.mock import patch

from tests.unit.fakes import FakeMac, fake_host, foreign, record
from tests.unit.samples import SAMPLES
from virtsec.cli.run import run
from virtsec.commands import host as hosts
from virtsec.commands import live
from virtsec.step import Host

ONE = SAMPLES["static"]


def open_host(_progress: Any = None) -> Host:
    """That host."""
    host = fake_host(record("vs3", ONE.xml, running=True), foreign())
    assert isinstance(host.mac, FakeMac)
    host.mac.running[4243] = ONE.identity.label.process
    return host


if __name__ == "__main__":
    with (
        patch.object(hosts, "open_host", open_host),
        patch.object(live, "init_pid", lambda pid: None if pid is None else pid + 1),
    ):
        sys.exit(run(sys.argv[1:]))
