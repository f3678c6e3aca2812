"""A container's tree is its own from the first moment: no file of it ever has another label."""

import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from demo.containers import ALIKE, KEYED, Container, prepare
from demo.shell import run, virtsec

from virtsec.commands.find import find_ours
from virtsec.commands.host import open_host
from virtsec.kernel.mounts import own_mounts
from virtsec.mac.protocol import TreeMarks
from virtsec.rootfs.steps import FillTree
from virtsec.spec import STORE
from virtsec.step import Silent

PLACE = PurePosixPath(STORE, "born/rootfs")

#: What is done for each tree, by threads of one process and as often as one waiting would show.
AT_ONCE = """
from concurrent.futures import ThreadPoolExecutor
from virtsec.kernel.userns import user_namespace

def make(number):
    with user_namespace(100000, 65536):
        pass

with ThreadPoolExecutor(8) as pool:
    print(len(list(pool.map(make, range(200)))))
"""


def test_mounts_of_ones_own_are_left_again_whatever_threads_there_are_by_then(
    tmp_path: Path,
) -> None:
    """A terminal's bar is drawn by one, which ends a little after the bar does."""

    def here() -> tuple[str, Path, bool]:
        return os.readlink("/proc/thread-self/ns/mnt"), Path.cwd(), tmp_path.is_mount()

    before, ended = here(), threading.Event()
    drawing = threading.Thread(target=ended.wait)
    with own_mounts():
        run("mount", "-t", "tmpfs", "tmpfs", str(tmp_path))
        inside = here()
        drawing.start()
    after = here()
    ended.set()
    drawing.join()
    assert inside[0] != before[0]
    assert inside[1:] == (before[1], True)
    assert after == before


@pytest.fixture
def born(vs1: Container) -> Iterator[TreeMarks]:
    """What a tree of vs1's, unpacked and nothing more, should have been born with."""
    host = open_host(Silent())
    _, container = find_ours(vs1.name, host)
    marks = host.mac.marks(container.identity.label)
    init = PurePosixPath("/sbin/init")
    Path(PLACE.parent).mkdir()
    fill = FillTree(PLACE, "/srv/images/busybox.tar", container.identity.ids, init, vs1.name, marks)
    try:
        fill.apply(host)
        yield marks
    finally:
        shutil.rmtree(PLACE.parent)


def test_files_are_born_with_their_labels(born: TreeMarks) -> None:
    tree = [Path(PLACE), *Path(PLACE).rglob("*")]
    assert len(tree) > 200
    for path in tree:
        is_directory = path.is_dir() and not path.is_symlink()
        wanted = born.directories if is_directory else born.files
        found = {name: os.getxattr(path, name, follow_symlinks=False) for name in wanted}
        assert found == dict(wanted), path


@pytest.fixture
def whole() -> Iterator[Container]:
    """A container of the Debian image that has never been started."""
    prepare()
    container = Container("whole")
    virtsec("define", container.name, "--from", str(KEYED), *ALIKE)
    yield container
    virtsec("undefine", container.name, "--storage")


def test_in_a_whole_system_every_file_is_the_containers_own(whole: Container) -> None:
    """Nothing looked at them one by one when they were unpacked."""
    host = open_host(Silent())
    _, container = find_ours(whole.name, host)
    marks = host.mac.marks(container.identity.label)
    init = (whole.rootfs / "usr/lib/systemd/systemd").stat().st_ino
    seen = 0
    for directory, _, names in os.walk(whole.rootfs):
        for path in (Path(directory), *(Path(directory, name) for name in names)):
            found = path.lstat()
            kind = marks.directories if stat.S_ISDIR(found.st_mode) else marks.files
            wanted = marks.init if found.st_ino == init else kind
            have = {name: os.getxattr(path, name, follow_symlinks=False) for name in wanted}
            assert have == dict(wanted), path
            seen += 1
    assert seen > 4000


def test_trees_made_at_once_do_not_wait_for_each_other() -> None:
    words = (sys.executable, "-c", AT_ONCE)
    made = subprocess.run(words, capture_output=True, text=True, timeout=600, check=True)
    assert made.stdout == "200\n"
