"""What tar may do with a hostile archive, when nothing but the kernel holds it."""

from __future__ import annotations

import os
import signal
import tarfile
import threading
from pathlib import Path, PurePosixPath

import pytest

from tests.unit.processes import children
from tests.unit.rootfs.rootfs_trees import (
    IDS,
    NET_BIND,
    acl,
    attribute,
    directory,
    make_archive,
    make_tree,
    member,
    snapshot,
)
from virtsec.errors import RootfsFailed
from virtsec.kernel import filecap
from virtsec.kernel.mounts import detached_mount
from virtsec.rootfs.archive import opened_archive
from virtsec.rootfs.confined import UNPACK, Place, confined, follow
from virtsec.rootfs.feed import Feed
from virtsec.rootfs.unpack import packed, unpack
from virtsec.spec import IdRange

pytestmark = pytest.mark.usefixtures("as_root")

KINDS = pytest.mark.parametrize("ids", [IDS, None], ids=["unprivileged", "privileged"])


@pytest.fixture
def place(tmp_path: Path) -> Path:
    result = tmp_path / "place"
    result.mkdir()
    os.chown(result, IDS.start, IDS.start)
    return result


def extract(archive: Path, place: Path, ids: IdRange | None) -> list[int]:
    """Unpack without any check before; what was told of progress."""
    advanced: list[int] = []
    tree = os.open(place, os.O_PATH | os.O_DIRECTORY)
    try:
        with opened_archive(archive) as feed:
            unpack(feed, tree, ids, PurePosixPath(place), advanced.append)
    finally:
        os.close(tree)
    return advanced


def copy(source: Path, place: Path, come_from: IdRange | None, ids: IdRange | None) -> None:
    tree = os.open(place, os.O_PATH | os.O_DIRECTORY)
    held = os.open(source, os.O_PATH | os.O_DIRECTORY)
    try:
        with packed(held, come_from) as feed:
            unpack(feed, tree, ids, PurePosixPath(place), lambda _: None)
    finally:
        os.close(tree)
        os.close(held)


def owners(place: Path) -> set[int]:
    return {path.lstat().st_uid for path in place.rglob("*")}


def test_a_root_is_born_with_the_containers_owners(tmp_path: Path, place: Path) -> None:
    archive = make_archive(tmp_path / "x.tar", [member("./su", uid=33, mode=0o4755)])
    extract(archive, place, IDS)
    su = (place / "su").stat()
    assert (su.st_uid, su.st_gid) == (IDS.start + 33, IDS.start + 33)
    assert su.st_mode & 0o7777 == 0o4755
    assert owners(place) == {IDS.start, IDS.start + 33}


@KINDS
def test_a_copy_has_everything_that_matters(
    tmp_path: Path, place: Path, ids: IdRange | None
) -> None:
    source = make_tree(tmp_path / "source")
    os.setxattr(source / "etc/passwd", "user.note", b"kept")
    os.setxattr(source / "etc/passwd", "trusted.overlay.opaque", b"y")
    copy(source, place, None, ids)
    start = 0 if ids is None else ids.start
    before, after = snapshot(source), snapshot(place, start)
    for name in ("var/log", "usr/bin/ping"):  # values with ids in them: below
        before.pop(name)
        after.pop(name)
    assert after == before
    assert attribute(place / "etc/passwd", "trusted.overlay.opaque") is None
    value = attribute(place / "usr/bin/ping", "security.capability")
    assert value is not None
    assert filecap.parse(value) == filecap.FileCapability(NET_BIND.permitted, 0, True, start)
    default = attribute(place / "var/log", "system.posix_acl_default")
    assert default == acl(user=start + 33, group=start + 4)


def test_a_copy_of_a_shifted_tree_counts_from_its_own_range(tmp_path: Path, place: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for each, owner in ((first, 2_000_000), (second, 0)):
        each.mkdir()
        os.chown(each, owner, owner)
    plain = make_tree(tmp_path / "source")
    copy(plain, first, None, IdRange(2_000_000))
    copy(first, second, IdRange(2_000_000), None)
    assert snapshot(second) == snapshot(plain)


@KINDS
@pytest.mark.parametrize(
    "words",
    [
        ["/usr/bin/touch", "{outside}/new"],
        ["/usr/bin/touch", "{place}/by-its-own-name"],
        ["/usr/bin/chmod", "777", "{outside}/file"],
        ["/usr/bin/ln", "{outside}/file", "stolen"],
        ["/usr/bin/mknod", "disk", "b", "254", "0"],
        ["/usr/bin/unshare", "--mount", "/usr/bin/true"],
    ],
    ids=lambda words: words[0],
)
def test_even_another_program_than_tar_could_do_no_harm(
    tmp_path: Path, place: Path, ids: IdRange | None, words: list[str]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for path, mode in ((tmp_path, 0o711), (outside, 0o777)):
        path.chmod(mode)
    (outside / "file").touch(0o666)
    os.chown(outside, IDS.start, IDS.start)
    tree = os.open(place, os.O_PATH | os.O_DIRECTORY)
    mount = detached_mount(tree)
    filled = [word.format(outside=outside, place=place) for word in words]
    with confined(filled, Place(mount, ids, UNPACK)) as program:
        assert follow(program, lambda _: None)
    assert program.returncode != 0
    assert os.listdir(place) == []
    assert os.listdir(outside) == ["file"]
    with confined(["/usr/bin/touch", "inside"], Place(mount, ids, UNPACK)) as program:
        assert follow(program, lambda _: None) == ""
    assert os.listdir(place) == ["inside"]
    os.close(mount)
    os.close(tree)


@KINDS
@pytest.mark.parametrize("climb", [False, True], ids=["absolute", "relative"])
def test_nothing_is_written_through_a_symlink_that_leads_out(
    tmp_path: Path, place: Path, ids: IdRange | None, climb: bool
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    outside.chmod(0o777)
    (outside / "file").write_text("host")
    (outside / "file").chmod(0o666)
    target = "../" * 9 + str(outside)[1:] if climb else str(outside)
    archive = make_archive(
        tmp_path / "x.tar",
        [
            member("./d", tarfile.SYMTYPE, target),
            member("./d/evil", text="evil"),
            member("./d/file", text="evil"),
            member("./f", tarfile.SYMTYPE, f"{target}/file"),
            member("./f", text="evil"),
            member("./hard", tarfile.LNKTYPE, "d/file"),
            member("./hard", text="evil"),
        ],
    )
    try:
        extract(archive, place, ids)
    except RootfsFailed as error:
        assert error.sentence  # tar may well stop here
    assert os.listdir(outside) == ["file"]
    assert (outside / "file").read_text() == "host"
    assert (outside / "file").stat().st_nlink == 1


@KINDS
@pytest.mark.parametrize("name", ["../evil", "/tmp/virtsec-evil", "a/../../evil"])
def test_nothing_is_written_above_the_tree(
    tmp_path: Path, place: Path, ids: IdRange | None, name: str
) -> None:
    archive = make_archive(tmp_path / "x.tar", [member(name, text="evil")])
    try:
        extract(archive, place, ids)
    except RootfsFailed as error:
        assert error.sentence
    assert not (tmp_path / "evil").exists()
    assert not Path("/tmp/virtsec-evil").exists()


@KINDS
def test_a_hard_link_to_the_hosts_files_is_never_made(
    tmp_path: Path, place: Path, ids: IdRange | None
) -> None:
    before = Path("/etc/passwd").stat().st_nlink
    archive = make_archive(tmp_path / "x.tar", [member("./p", tarfile.LNKTYPE, "/etc/passwd")])
    with pytest.raises(RootfsFailed):
        extract(archive, place, ids)
    assert Path("/etc/passwd").stat().st_nlink == before


@KINDS
def test_no_device_is_ever_made(tmp_path: Path, place: Path, ids: IdRange | None) -> None:
    disk = member("./disk", tarfile.BLKTYPE)
    disk[0].devmajor, disk[0].devminor = 254, 0
    with pytest.raises(RootfsFailed, match="Cannot mknod"):
        extract(make_archive(tmp_path / "x.tar", [disk]), place, ids)
    assert not (place / "disk").exists()


def test_devs_entries_are_left_out(tmp_path: Path, place: Path) -> None:
    null = member("./dev/null", tarfile.CHRTYPE)
    extract(make_archive(tmp_path / "x.tar", [directory("./dev"), null]), place, IDS)
    assert os.listdir(place / "dev") == []


def test_an_id_no_container_has_cannot_be_given(tmp_path: Path, place: Path) -> None:
    with pytest.raises(RootfsFailed, match="Cannot change ownership"):
        extract(make_archive(tmp_path / "x.tar", [member("./x", uid=70_000)]), place, IDS)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_truncated_archive_fails_with_a_sentence(tmp_path: Path, place: Path, mode: str) -> None:
    archive = make_archive(
        tmp_path / "x.tar", [member("./big", text=os.urandom(200_000).hex())], mode
    )
    os.truncate(archive, archive.stat().st_size // 2)
    with pytest.raises(RootfsFailed) as caught:
        extract(archive, place, IDS)
    assert "\n" not in caught.value.sentence


def test_progress_counts_every_member(tmp_path: Path, place: Path) -> None:
    members = [member(f"./file\n{number}") for number in range(500)]
    assert sum(extract(make_archive(tmp_path / "x.tar", members), place, IDS)) == 504


def test_a_full_disk_is_said_in_one_sentence(tmp_path: Path, mounted: Path) -> None:
    os.chown(mounted, IDS.start, IDS.start)
    archive = make_archive(tmp_path / "x.tar", [member("./big", text="x" * 500_000)])
    with pytest.raises(RootfsFailed, match=f"file system of {mounted} is full"):
        extract(archive, mounted, IDS)


def test_tar_is_gone_when_unpacking_is_interrupted(tmp_path: Path, place: Path) -> None:
    fifo = tmp_path / "never-ending"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDWR)
    others = children()
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    tree = os.open(place, os.O_PATH | os.O_DIRECTORY)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            unpack(Feed(reader), tree, IDS, PurePosixPath(place), lambda _: None)
    finally:
        timer.join()
        os.close(reader)
        os.close(tree)
    assert children() == others


def test_what_happens_at_birth_happens_in_tar_before_it_starts(tmp_path: Path, place: Path) -> None:
    told, tell = os.pipe()

    def birth() -> None:
        os.write(tell, str(os.getpid()).encode())

    tree = os.open(place, os.O_PATH | os.O_DIRECTORY)
    with opened_archive(make_archive(tmp_path / "x.tar")) as feed:
        unpack(
            feed,
            tree,
            IDS,
            PurePosixPath(place),
            lambda _: None,
            birth=birth,
        )
    os.close(tree)
    assert int(os.read(told, 20)) != os.getpid()
