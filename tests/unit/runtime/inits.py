"""What tests of the hook on disk share: inits, labels, and its functions in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.runtime.runtime_samples import ATTRIBUTE, Container, label_of
from virtsec.runtime import disk, init
from virtsec.runtime import start as metadata
from virtsec.runtime.checks import judged
from virtsec.runtime.domain import parse
from virtsec.runtime.start import SELinux, Start

FILE = "system_u:object_r:vs1_file_t:s0:c1,c2"
INIT = "system_u:object_r:vs1_exec_t:s0:c1,c2"
HOST = "system_u:object_r:shadow_t:s0"


def state(path: Path) -> tuple[object, ...]:
    """All of an inode that a hook gone wrong could change."""
    found = path.stat()
    kept = found.st_mode, found.st_uid, found.st_gid, found.st_nlink, found.st_mtime_ns
    return *kept, path.read_bytes(), label_of(path)


def assert_refused(stopped: Container, *reasons: str) -> None:
    ended = stopped.start()
    assert ended.status == 1, "it was let start"
    assert "Traceback" not in ended.error
    assert all(reason in ended.error for reason in reasons), ended.error


def exchange_init(stopped: Container) -> Path:
    """The place of init, with nothing there."""
    stopped.init.unlink()
    return stopped.init


def start_of(stopped: Container) -> Start:
    """The start that the hook would judge, for tests that call its functions."""
    with known(stopped) as start:
        return start


@contextmanager
def known(stopped: Container) -> Iterator[Start]:
    """The hook's functions in this process, with the tables that `stopped` needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata, "CONTROLLER", f"{stopped.base}/controller")
        patch.setattr(metadata, "STORE", f"{stopped.base}/store")
        patch.setattr(metadata, "LOWEST_ID", 0)
        for module in (metadata, disk, init):
            patch.setattr(module, "TRUSTED_IDS", (os.getuid(), 0))
        patch.setattr(disk, "PACKETS", "/")
        patch.setattr(SELinux, "attribute", ATTRIBUTE)
        patch.setattr(SELinux, "running", "/")
        start = judged("vs1", parse(stopped.xml.encode()))
        assert start is not None
        yield start


def label(start: Start) -> None:
    """The part of the hook that an attacker would want to mislead."""
    init.label_init(start, os.open(start.root, os.O_PATH))


def keep_pristine(stopped: Container, content: bytes) -> None:
    stopped.edit('policy="own"', 'policy="pristine"')
    stopped.pristine.write_bytes(content)
    stopped.pristine.chmod(0o600)
