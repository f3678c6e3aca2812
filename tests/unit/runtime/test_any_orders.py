"""The controller does what the planner wrote, for any directory a container may be given."""

from __future__ import annotations

import os
import posix
import resource
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.domain.specs import PATHS
from tests.unit.samples import SAMPLES
from virtsec.domain.metadata import Container
from virtsec.domain.orders import orders
from virtsec.runtime import view
from virtsec.spec import Mount

ONE = SAMPLES["unprivileged"].container
INSIDE = PurePosixPath("/mnt")


def ordered(files: int | None, sources: list[PurePosixPath]) -> Container:
    mounts = tuple(Mount(source, INSIDE / str(at), idmap=True) for at, source in enumerate(sources))
    limits = replace(ONE.spec.limits, files=files)
    return replace(ONE, spec=replace(ONE.spec, limits=limits, mounts=mounts))


def obeyed(text: str) -> tuple[list[tuple[int, int]], list[list[str]]]:
    """The limits it sets, and the words it calls mount(8) with."""
    limits: list[tuple[int, int]] = []
    called: list[list[str]] = []

    def spawn(_path: str, words: list[str], _environment: object) -> int:
        called.append(words[1:])
        return 0

    with tempfile.TemporaryDirectory() as own, pytest.MonkeyPatch.context() as patch:
        Path(own, "orders").write_text(text, "utf-8")
        patch.setattr(posix, "posix_spawn", spawn)
        patch.setattr(posix, "waitpid", lambda *_: (0, 0))
        patch.setattr(resource, "setrlimit", lambda _what, limit: limits.append(limit))
        before = {*os.listdir("/proc/self/fd")}
        view.obey(own)
        # None stays open: the fuzzer calls it ten thousands of times.
        assert {*os.listdir("/proc/self/fd")} <= before
    return limits, called


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.none(), st.integers(64, 2**20)), st.lists(PATHS, max_size=4))
@example(None, [PurePosixPath("/srv/a\u2028files 9\u2028b")])
@example(None, [PurePosixPath("/", "x" * 200, str(at)) for at in range(400)])
def test_what_is_ordered_is_done(files: int | None, sources: list[PurePosixPath]) -> None:
    """Whatever characters a path has, and however many there are."""
    ids = ONE.identity.ids
    assert ids is not None
    options = f"X-mount.idmap=b:0:{ids.start}:{ids.count},nosuid,nodev"
    expected = [["--bind", "-o", options, "--", *[str(each)] * 2] for each in sources]
    limits, called = obeyed(orders(ordered(files, sources)))
    assert called == expected
    assert limits == ([] if files is None else [(files, files)])
