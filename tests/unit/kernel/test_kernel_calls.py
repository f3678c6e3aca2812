"""The edges over system calls, against the kernel that runs the tests."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

from virtsec.kernel import mounts, privilege, userns, xattrs
from virtsec.kernel.openat2 import open_beneath, open_in_root

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes root")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/b/file").write_text("inside")
    (tree / "absolute").symlink_to("/a/b/file")
    (tree / "climbing").symlink_to("../../../../a/b/file")
    (tree / "out").symlink_to(tmp_path)
    descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def read(descriptor: int) -> str:
    with os.fdopen(descriptor) as file:
        return file.read()


def in_child(work: Callable[[], None]) -> int:
    """Exit status of a forked child that runs `work`."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_path_beneath_is_opened(directory: int) -> None:
    assert read(open_beneath(directory, "a/b/file", os.O_RDONLY)) == "inside"


@pytest.mark.parametrize("path", ["absolute", "climbing", "out/tree/a/b/file", "../tree/a"])
def test_nothing_is_opened_through_a_link_or_upwards(directory: int, path: str) -> None:
    with pytest.raises(OSError) as caught:
        open_beneath(directory, path, os.O_RDONLY)
    assert caught.value.errno in (errno.ELOOP, errno.EXDEV)


@needs_root
def test_nothing_is_opened_across_a_mount() -> None:
    root = os.open("/", os.O_PATH)
    try:
        with pytest.raises(OSError) as caught:
            open_beneath(root, "proc/self", os.O_RDONLY)
    finally:
        os.close(root)
    assert caught.value.errno == errno.EXDEV


@pytest.mark.parametrize("path", ["/a/b/file", "absolute", "climbing", "../../a/b/file"])
def test_links_are_followed_inside_the_root_only(directory: int, path: str) -> None:
    assert read(open_in_root(directory, path, os.O_RDONLY)) == "inside"


def test_attributes_of_a_held_inode_are_reached_after_a_rename(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    held = os.open(tmp_path / "file", os.O_PATH | os.O_NOFOLLOW)
    (tmp_path / "file").rename(tmp_path / "renamed")
    (tmp_path / "file").touch()
    xattrs.put(xattrs.held(held), "user.test", b"1")
    assert xattrs.get(str(tmp_path / "renamed"), "user.test") == b"1"
    assert xattrs.get(str(tmp_path / "file"), "user.test") is None
    xattrs.put(xattrs.held(held), "user.test", None)
    xattrs.put(xattrs.held(held), "user.test", None)
    assert xattrs.get(str(tmp_path / "renamed"), "user.test") is None
    os.close(held)


@needs_root
def test_root_in_a_user_namespace_is_the_first_id_of_its_range(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with userns.user_namespace(1_000_000, 65536) as namespace:

        def make() -> None:
            os.chdir(tmp_path)  # the way to it is closed to others
            userns.enter(namespace, userns.CLONE_NEWUSER)
            os.setresgid(0, 0, 0)
            os.setresuid(0, 0, 0)
            Path("file").touch()
            os.chown("file", 33, 65535)

        assert in_child(make) == 0
    found = (tmp_path / "file").stat()
    assert (found.st_uid, found.st_gid) == (1_000_033, 1_065_535)


@needs_root
def test_no_child_is_left_of_a_user_namespace() -> None:
    with userns.user_namespace(1_000_000, 65536):
        pass
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@needs_root
def test_only_the_detached_mount_stays_writable(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    tree = tmp_path / "tree"
    outside.mkdir()
    tree.mkdir()
    (tree / "link").symlink_to(outside)
    held = os.open(tree, os.O_PATH)
    mount = mounts.detached_mount(held)

    def work() -> None:
        userns.unshare(userns.CLONE_NEWNS)
        mounts.make_all_read_only()
        os.fchdir(mount)
        Path("inside").touch()
        os.chdir("..")
        Path("top").touch()
        for path in ("link/through", outside / "absolute", tree / "by-name"):
            with pytest.raises(OSError) as caught:
                Path(path).touch()
            assert caught.value.errno == errno.EROFS
        with pytest.raises(OSError):
            outside.chmod(0o777)

    assert in_child(work) == 0
    assert sorted(os.listdir(tree)) == ["inside", "link", "top"]
    assert os.listdir(outside) == []
    os.close(mount)
    os.close(held)


@needs_root
def test_only_the_named_capabilities_are_left_and_exec_brings_none_back() -> None:
    kept = {privilege.CAP_CHOWN, privilege.CAP_SETFCAP}
    script = (
        "from virtsec.kernel import privilege; import sys;"
        f"sys.exit(privilege.effective() != {kept!r})"
    )
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}

    def work() -> None:
        privilege.keep_only(kept)
        assert privilege.effective() == kept
        os.execve(sys.executable, [sys.executable, "-c", script], environment)

    assert in_child(work) == 0


def test_mount_points_with_blanks_and_backslashes_are_read() -> None:
    text = (
        "36 35 98:0 /mnt1 /a\\040b rw,noatime master:1 - ext3 /dev/root rw\n"
        "37 35 98:0 / /c\\134d rw shared:1 shared:2 - ext3 /dev/root rw\n"
    )
    assert mounts.parse_mount_points(text) == [PurePosixPath("/a b"), PurePosixPath("/c\\d")]


def test_what_is_mounted_beneath_is_found() -> None:
    assert PurePosixPath("/proc") in mounts.mounted_at_or_beneath(PurePosixPath("/"))
    assert mounts.mounted_at_or_beneath(PurePosixPath("/proc"))[0] == PurePosixPath("/proc")
    assert mounts.mounted_at_or_beneath(PurePosixPath("/pro")) == []
