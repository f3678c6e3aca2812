"""The steps in their order: a whole root, or nothing left."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest

from tests.unit.rootfs.rootfs_trees import (
    IDS,
    INIT,
    Births,
    Recorded,
    attribute,
    everything,
    make_archive,
    make_tree,
    mark_of,
    member,
    snapshot,
)
from virtsec.errors import BadInput, Refused, RootfsFailed
from virtsec.mac.protocol import TreeMarks
from virtsec.rootfs import fill as fill_module
from virtsec.rootfs.owners import LabelTree, RestTree
from virtsec.rootfs.remove import remove_tree
from virtsec.rootfs.sources import Source, SourceKind
from virtsec.rootfs.steps import FillTree, KeepTree, MakeStore, RemoveTree, plan_keep, plan_root
from virtsec.rootfs.unpack import unpack
from virtsec.spec import STORE, ContainerSpec, Identity, IdRange, Label
from virtsec.step import Host, Step, Watcher, execute


class Stopped(Exception):
    """A later step that fails."""


@pytest.fixture
def store(tmp_path: Path) -> PurePosixPath:
    return PurePosixPath(tmp_path / "store")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "x.tar", [member("./file", uid=33)])


def steps(
    store: PurePosixPath, source: Path, marks: TreeMarks, ids: IdRange | None = IDS
) -> list[Step]:
    rootfs = store / "vs1/rootfs"
    return [
        MakeStore(rootfs, ids, store),
        FillTree(rootfs, str(source), ids, INIT, "vs1", marks, Source(SourceKind.TAR, 5)),
        LabelTree(rootfs, ids, marks, INIT),
        KeepTree(rootfs, made=True),
    ]


def fail(index: int, step: Step) -> None:
    raise Stopped(step.describe())


def fail_at(stop: type[Step]) -> Watcher:
    def watch(index: int, step: Step) -> None:
        if isinstance(step, stop):
            fail(index, step)

    return watch


def test_a_root_is_made_labelled_and_closed_to_the_hosts_users(
    store: PurePosixPath, archive: Path, marks: TreeMarks, host: Host, progress: Recorded
) -> None:
    execute(steps(store, archive, marks), host)
    rootfs = Path(store) / "vs1/rootfs"
    assert (rootfs / "file").stat().st_uid == IDS.start + 33
    assert mark_of(rootfs / "sbin/init") == b"init"
    own = rootfs.parent.stat()
    assert (own.st_mode & 0o7777, own.st_uid, own.st_gid) == (0o710, 0, IDS.start)
    assert os.listdir(rootfs.parent) == ["rootfs"]
    assert attribute(rootfs, "trusted.virtsec.unfinished") is None
    assert (f"fill {rootfs}", 5, 5) in progress.done


def test_a_root_has_its_label_before_anything_is_made_in_it(
    store: PurePosixPath, archive: Path, marks: TreeMarks, progress: Recorded
) -> None:
    """So that what is made in it can be born with it, by whatever the module asks for."""
    tree = Path(store) / "vs1/rootfs.partial/tree"

    def note() -> None:
        os.setxattr(tree, "user.born", mark_of(tree) or b"")

    class Watched(Births):
        def birth(self, marks: TreeMarks) -> Callable[[], None]:
            del marks
            return note

    execute(steps(store, archive, marks), Host(None, Watched(), progress))  # type: ignore[arg-type]
    assert attribute(Path(store) / "vs1/rootfs", "user.born") == b"directory"


def test_a_privileged_root_is_closed_to_everybody_but_root(
    store: PurePosixPath, archive: Path, marks: TreeMarks, host: Host
) -> None:
    execute(steps(store, archive, marks, None), host)
    own = (Path(store) / "vs1").stat()
    assert (own.st_mode & 0o7777, own.st_uid, own.st_gid) == (0o700, 0, 0)
    assert (Path(store) / "vs1/rootfs/file").stat().st_uid == 33


@pytest.mark.parametrize("stop", [FillTree, LabelTree, KeepTree])
def test_a_failure_later_leaves_nothing(
    store: PurePosixPath, archive: Path, marks: TreeMarks, host: Host, stop: type[Step]
) -> None:
    with pytest.raises(Stopped):
        execute(steps(store, archive, marks), host, fail_at(stop))
    assert os.listdir(store) == []


def test_a_failure_after_the_last_step_leaves_nothing_either(
    store: PurePosixPath, archive: Path, marks: TreeMarks, host: Host
) -> None:
    with pytest.raises(Stopped):
        execute([*steps(store, archive, marks), RemoveTree(store)], host, fail_at(RemoveTree))
    assert os.listdir(store) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RootfsFailed("x")])
def test_a_stop_while_unpacking_leaves_nothing(
    store: PurePosixPath,
    archive: Path,
    marks: TreeMarks,
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    def interrupted(*words: object, **named: object) -> None:
        unpack(*words, **named)  # type: ignore[arg-type]
        raise error

    monkeypatch.setattr(fill_module, "unpack", interrupted)
    with pytest.raises((KeyboardInterrupt, RootfsFailed)):
        execute(steps(store, archive, marks), host)
    assert os.listdir(store) == []


def test_a_full_disk_leaves_nothing(
    mounted: Path, tmp_path: Path, marks: TreeMarks, host: Host
) -> None:
    archive = make_archive(tmp_path / "x.tar", [member("./big", text="x" * 500_000)])
    with pytest.raises(RootfsFailed, match="is full"):
        execute(steps(PurePosixPath(mounted), archive, marks), host)
    assert os.listdir(mounted) == []


KILLED = """
import sys
sys.path[:] = {path!r}
from tests.unit.rootfs.test_rootfs_steps import *
from tests.unit.rootfs.rootfs_trees import *
marks = TreeMarks(*({{MARK: value}} for value in (b"file", b"directory", b"init", None)))
store = PurePosixPath({store!r})
class Deadly(Recorded):
    def advance(self, items=1):
        super().advance(items)
        if self.open[-1][0].startswith({what!r}):
            os.kill(os.getpid(), signal.SIGKILL)
execute(steps(store, Path({archive!r}), marks), Host(None, Births(), Deadly()))
"""


@pytest.mark.parametrize("what", ["fill", "read", "label"])
def test_a_run_that_was_killed_is_made_good_by_the_next(
    store: PurePosixPath, tmp_path: Path, marks: TreeMarks, host: Host, what: str
) -> None:
    archive = make_archive(tmp_path / "x.tar", [member(f"./f{n}") for n in range(200)])
    script = KILLED.format(path=sys.path, store=str(store), archive=str(archive), what=what)
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    time.sleep(0.2)
    left = Path(store) / "vs1"
    assert os.listdir(left)
    execute(steps(store, archive, marks), host)
    assert os.listdir(left) == ["rootfs"]
    undisturbed = PurePosixPath(tmp_path / "undisturbed")
    execute(steps(undisturbed, archive, marks), host)
    assert snapshot(left / "rootfs") == snapshot(Path(undisturbed) / "vs1/rootfs")


@pytest.mark.parametrize("name", ["rootfs", "rootfs.partial"])
def test_somebodys_directory_is_never_replaced(
    store: PurePosixPath, archive: Path, marks: TreeMarks, host: Host, name: str
) -> None:
    theirs = Path(store) / "vs1" / name
    theirs.mkdir(parents=True)
    (theirs / "precious").touch()
    with pytest.raises(Refused, match=f"{name} is there already"):
        execute(steps(store, archive, marks), host)
    assert os.listdir(theirs) == ["precious"]


def test_a_root_that_was_kept_is_never_replaced(
    store: PurePosixPath, archive: Path, marks: TreeMarks, host: Host
) -> None:
    execute(steps(store, archive, marks), host)
    with pytest.raises(Refused, match="is there already"):
        execute(steps(store, archive, marks), host)
    assert (Path(store) / "vs1/rootfs/sbin/init").exists()


def test_a_tree_that_was_there_before_comes_back_when_a_later_step_fails(
    tree: Path, marks: TreeMarks, host: Host
) -> None:
    before = snapshot(tree)
    rootfs = PurePosixPath(tree)
    plan: list[Step] = [LabelTree(rootfs, IDS, marks, INIT, restore=True), RemoveTree(rootfs)]
    with pytest.raises(Stopped):
        execute(plan, host, fail_at(RemoveTree))
    assert snapshot(tree) == before


def test_a_tree_that_was_there_is_not_touched_when_it_cannot_be_labelled(
    tree: Path, marks: TreeMarks, host: Host, tmp_path: Path
) -> None:
    os.setxattr(tree / "etc", "trusted.virtsec-test", b"theirs")
    os.link(tree / "etc/passwd", tmp_path / "backup")
    with pytest.raises(Refused):
        execute([LabelTree(PurePosixPath(tree), IDS, marks, INIT, restore=True)], host)
    assert mark_of(tree / "etc") == b"theirs"


def test_a_tree_put_to_rest_is_labelled_again_when_a_later_step_fails(
    tree: Path, marks: TreeMarks, host: Host
) -> None:
    rootfs = PurePosixPath(tree)
    execute([LabelTree(rootfs, IDS, marks, INIT)], host)
    with pytest.raises(Stopped):
        execute([RestTree(rootfs, marks, IDS, INIT), RemoveTree(rootfs)], host, fail_at(RemoveTree))
    assert mark_of(tree / "usr/lib/systemd/systemd") == b"init"
    execute([RestTree(rootfs, marks, IDS, INIT)], host)
    assert not any(mark_of(path) for path in everything(tree))


def test_a_tree_is_removed_with_its_directory_in_the_store_and_twice_is_once(
    store: PurePosixPath, archive: Path, marks: TreeMarks, host: Host
) -> None:
    execute(steps(store, archive, marks), host)
    for _ in range(2):
        execute([RemoveTree(store / "vs1/rootfs", store)], host)
        assert os.listdir(store) == []


def test_a_directory_in_the_store_that_does_not_go_is_told_and_goes_the_next_time(
    store: PurePosixPath,
    archive: Path,
    marks: TreeMarks,
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    execute(steps(store, archive, marks), host)
    rmdir = Path.rmdir

    def failing(path: Path) -> None:
        if path == Path(store / "vs1"):
            raise OSError(errno.EIO, "Input/output error")
        rmdir(path)

    removal = RemoveTree(store / "vs1/rootfs", store)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rmdir", failing)
        with pytest.raises(RootfsFailed, match="Input/output error"):
            execute([removal], host)
    assert os.listdir(store) == ["vs1"]
    execute([removal], host)
    assert os.listdir(store) == []


def test_a_removal_that_was_killed_leaves_nothing_for_the_next_define_to_keep(
    store: PurePosixPath,
    archive: Path,
    marks: TreeMarks,
    host: Host,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    execute(steps(store, archive, marks), host)

    def killed(*words: object, **named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "rmdir", killed)
        with pytest.raises(KeyboardInterrupt):
            execute([RemoveTree(store / "vs1/rootfs", store)], host)
    execute(steps(store, archive, marks), host)
    assert (Path(store) / "vs1/rootfs/sbin/init").exists()


def test_a_tree_with_something_mounted_in_it_is_not_removed(
    mounted: Path, tmp_path: Path, host: Host
) -> None:
    (mounted / "precious").touch()
    for path in (tmp_path, mounted):
        with pytest.raises(Refused, match="has something mounted in it"):
            execute([RemoveTree(PurePosixPath(path))], host)
    assert (mounted / "precious").exists()
    assert attribute(tmp_path, "trusted.virtsec.unfinished") is None


def test_removal_itself_stops_at_a_mount(mounted: Path, tmp_path: Path) -> None:
    (mounted / "precious").touch()
    with pytest.raises(Refused, match="has something mounted in it"):
        remove_tree(PurePosixPath(tmp_path))
    assert (mounted / "precious").exists()


def test_a_tree_of_any_depth_is_removed(tmp_path: Path, host: Host) -> None:
    top = tmp_path / "tree"
    top.mkdir()
    current = os.open(top, os.O_PATH)
    for _ in range(100):
        os.mkdir("d" * 200, dir_fd=current)
        below = os.open("d" * 200, os.O_PATH, dir_fd=current)
        os.close(current)
        current = below
    os.close(current)
    execute([RemoveTree(PurePosixPath(top))], host)
    assert not top.exists()


def test_what_a_link_leads_to_outlives_the_tree(tree: Path, tmp_path: Path, host: Host) -> None:
    canary = make_tree(tmp_path / "canary")
    before = snapshot(canary)
    (tree / "etc/link").symlink_to(canary)
    execute([RemoveTree(PurePosixPath(tree))], host)
    assert snapshot(canary) == before


def test_a_tree_at_rest_in_the_store_is_closed_to_whoever_gets_its_ids(
    store: PurePosixPath, archive: Path, marks: TreeMarks, host: Host
) -> None:
    execute(steps(store, archive, marks), host)
    rest = RestTree(store / "vs1/rootfs", marks, IDS, INIT, store)
    own = Path(store) / "vs1"
    with pytest.raises(Stopped):
        execute([rest, RemoveTree(store)], host, fail_at(RemoveTree))
    assert (own.stat().st_mode & 0o777, own.stat().st_gid) == (0o710, IDS.start)
    execute([rest], host)
    assert (own.stat().st_mode & 0o777, own.stat().st_gid) == (0o700, 0)


def test_the_store_has_room_for_roots_and_nothing_else(tmp_path: Path, host: Host) -> None:
    with pytest.raises(BadInput, match="not a place for a root"):
        MakeStore(PurePosixPath(tmp_path / "store/a/b/rootfs"), IDS, PurePosixPath(tmp_path)).apply(
            host
        )


LABEL = Label("selinux", "p", "f", "i")


@pytest.mark.parametrize(
    ("rootfs", "source", "kinds"),
    [
        (STORE / "vs1/rootfs", "debian:trixie", [MakeStore, FillTree, LabelTree]),
        (STORE / "vs1/rootfs", None, [MakeStore, LabelTree]),
        (PurePosixPath("/srv/vs1"), "/srv/x.tar", [FillTree, LabelTree]),
        (PurePosixPath("/srv/vs1"), None, [LabelTree]),
    ],
)
def test_a_plan_has_the_steps_it_takes(
    rootfs: PurePosixPath, source: str | None, kinds: list[type[Step]], marks: TreeMarks
) -> None:
    spec = ContainerSpec("vs1", rootfs, source)
    plan = plan_root(spec, Identity(LABEL, IDS), marks)
    assert [type(step) for step in plan] == kinds
    there = source is None
    assert plan[-1] == LabelTree(rootfs, IDS, marks, INIT, restore=there, filled=not there)
    assert plan_keep(spec) == [KeepTree(rootfs, made=source is not None)]
    for step in plan:
        assert str(rootfs.parent) in step.describe()
