"""Everything wrong with a source is said before anything is made."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path, PurePosixPath
from typing import Literal

import pytest

from tests.unit.rootfs.rootfs_trees import IDS, INIT, make_archive, make_tree, member
from virtsec.errors import BadInput, HostNotReady, NotFound, Refused
from virtsec.kernel import posixacl
from virtsec.mac.protocol import TreeMarks
from virtsec.rootfs import debian, sources
from virtsec.rootfs.archive import Compression, recognise
from virtsec.rootfs.feed import program
from virtsec.rootfs.sources import Source, SourceKind, default_source, inspect_source
from virtsec.rootfs.steps import FillTree
from virtsec.rootfs.trust import check_parents
from virtsec.step import Host

pytestmark = pytest.mark.usefixtures("as_root")


@pytest.fixture
def store(tmp_path: Path) -> PurePosixPath:
    return PurePosixPath(tmp_path / "store")


def inspect(source: str | Path | None, store: PurePosixPath) -> Source:
    text = None if source is None else str(source)
    return inspect_source(text, store / "vs1/rootfs", INIT, store)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_an_archive_is_known_by_its_first_bytes(
    tmp_path: Path, store: PurePosixPath, mode: str
) -> None:
    path = make_archive(tmp_path / "no-suffix", [member("./x")], mode)
    assert inspect(path, store) == Source(SourceKind.TAR, 5, acls=False)


def test_a_zstd_archive_is_known_too(tmp_path: Path, store: PurePosixPath) -> None:
    plain = make_archive(tmp_path / "x.tar", [member("./x")])
    subprocess.run(["/usr/bin/zstd", "-q", plain, "-o", tmp_path / "x"], check=True)
    assert inspect(tmp_path / "x", store) == Source(SourceKind.TAR, 5, acls=False)


def test_an_archive_in_which_a_file_has_an_acl_is_unpacked_with_it(
    tmp_path: Path, store: PurePosixPath, marks: TreeMarks, host: Host
) -> None:
    info, data = member("./file", uid=33)
    info.pax_headers = {
        "SCHILY.acl.access": "user::rw-,user:34:r--,group::r--,mask::r--,other::---"
    }
    path = make_archive(tmp_path / "x.tar", [(info, data)])
    found = inspect(path, store)
    assert found == Source(SourceKind.TAR, 5, acls=True)
    rootfs = PurePosixPath(tmp_path / "rootfs")
    FillTree(rootfs, str(path), IDS, INIT, "vs1", marks, found).apply(host)
    acl = posixacl.parse(os.getxattr(rootfs / "file", "system.posix_acl_access"))
    assert IDS.start + 34 in [each.identity for each in acl if each.tag == posixacl.USER]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_all_formats_of_tar_are_recognised(form: Literal[0, 1, 2]) -> None:
    assert recognise(tarfile.TarInfo("x").tobuf(form)) is None


def test_an_archive_older_than_posix_is_recognised_by_its_checksum() -> None:
    header = bytearray(512)
    header[0:4] = b"file"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert recognise(bytes(header)) is None
    header[0:4] = b"fole"
    with pytest.raises(ValueError, match="neither"):
        recognise(bytes(header))


@pytest.mark.parametrize("head", [b"", b"\x7fELF", b"PK\x03\x04" + bytes(600), bytes(512)])
def test_what_is_no_archive_is_not_taken_for_one(head: bytes) -> None:
    with pytest.raises(ValueError, match="neither"):
        recognise(head)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (member("../../etc/passwd"), "leads out of the tree"),
        (member("/etc/passwd"), "leads out of the tree"),
        (member("./p", tarfile.LNKTYPE, "/etc/passwd"), "leads out of the tree"),
        (member("./disk", tarfile.BLKTYPE), "is a device node outside /dev"),
        (member("./fifo", tarfile.FIFOTYPE), "is a fifo outside /dev"),
        (member("./x", uid=70_000), "belongs to the id 70000"),
    ],
)
def test_a_hostile_member_is_named(
    tmp_path: Path,
    store: PurePosixPath,
    bad: tuple[tarfile.TarInfo, bytes],
    sentence: str,
) -> None:
    path = make_archive(tmp_path / "x.tar", [bad])
    with pytest.raises(BadInput, match=sentence):
        inspect(path, store)
    assert not Path(store).exists()


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_a_truncated_archive_is_said_to_be_damaged(
    tmp_path: Path, store: PurePosixPath, mode: str
) -> None:
    path = make_archive(tmp_path / "x.tar", [member("./x", text=os.urandom(90_000).hex())], mode)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(BadInput, match="is damaged"):
        inspect(path, store)


def test_a_broken_checksum_after_the_last_member_is_noticed(
    tmp_path: Path, store: PurePosixPath
) -> None:
    path = make_archive(tmp_path / "x.tar.gz", mode="w:gz")
    data = bytearray(path.read_bytes())
    data[-6] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(BadInput, match="is damaged: gzip: stdin: invalid compressed data"):
        inspect(path, store)


def test_many_read_an_archive_once_unless_it_changes(
    tmp_path: Path, store: PurePosixPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_archive(tmp_path / "x.tar", [member("./x")])
    first = inspect(archive, store)
    with monkeypatch.context() as patch:
        patch.setattr(sources, "check_archive", None)
        assert inspect(archive, store) == first
    make_archive(archive, [member("./x"), member("./y")])
    assert inspect(archive, store) != first


def test_an_empty_file_a_fifo_and_nothing_at_all(tmp_path: Path, store: PurePosixPath) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "fifo")
    for name in ("empty", "fifo"):
        with pytest.raises(BadInput, match="neither a directory nor a tar archive"):
            inspect(tmp_path / name, store)
    with pytest.raises(NotFound, match="There is no"):
        inspect(tmp_path / "nothing", store)


def test_a_missing_decompressor_is_named(
    tmp_path: Path, store: PurePosixPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_archive(tmp_path / "x", mode="w:xz")
    monkeypatch.setattr(Compression.XZ, "path", "/usr/bin/no-xz")
    with pytest.raises(HostNotReady, match="no /usr/bin/no-xz") as caught:
        inspect(path, store)
    assert "xz-utils" in caught.value.remedy


def test_what_is_no_linux_root_is_refused(tmp_path: Path, store: PurePosixPath) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "no-init/etc").mkdir(parents=True)
    with pytest.raises(BadInput, match="no Linux root"):
        inspect(tmp_path / "empty", store)
    with pytest.raises(BadInput, match="has no init"):
        inspect(tmp_path / "no-init", store)
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.add(tmp_path / "no-init", ".")
    with pytest.raises(BadInput, match="has no init"):
        inspect(tmp_path / "x.tar", store)


def test_a_tree_is_counted_for_a_copy(tree: Path, store: PurePosixPath) -> None:
    found = inspect(tree, store)
    assert found == Source(SourceKind.TREE, len(list(tree.rglob("*"))) + 1)


@pytest.mark.parametrize("kind", ["node", "fifo", "owner"])
def test_what_cannot_be_copied_is_named(tree: Path, store: PurePosixPath, kind: str) -> None:
    bad = tree / "var/bad"
    if kind == "node":
        os.mknod(bad, 0o20600, os.makedev(1, 3))
    elif kind == "fifo":
        os.mkfifo(bad)
    else:
        bad.touch()
        os.chown(bad, 70_000, 0)
    os.mknod(tree / "dev/null", 0o20666, os.makedev(1, 3))
    with pytest.raises(BadInput, match="var/bad"):
        inspect(tree, store)


def test_a_tree_is_not_copied_into_itself(tree: Path) -> None:
    with pytest.raises(BadInput, match="is inside of"):
        inspect_source(str(tree), PurePosixPath(tree / "srv"))


def test_the_hosts_own_root_is_no_containers() -> None:
    with pytest.raises(Refused, match="the host's own root"):
        inspect_source(None, PurePosixPath("/"))


def test_an_existing_root_is_taken_as_it_is(tree: Path) -> None:
    assert inspect_source(None, PurePosixPath(tree)) == Source(SourceKind.EXISTING)
    with pytest.raises(NotFound):
        inspect_source(None, PurePosixPath(tree / "nothing"))
    with pytest.raises(BadInput, match="not a directory"):
        inspect_source(None, PurePosixPath(tree / "etc/passwd"))
    with pytest.raises(BadInput, match="not a directory"):
        inspect_source(None, PurePosixPath(tree / "bin"))


def test_a_place_that_is_taken_or_missing_is_refused(
    tree: Path, tmp_path: Path, store: PurePosixPath
) -> None:
    with pytest.raises(Refused, match="is there already"):
        inspect_source(str(tree), PurePosixPath(make_tree(tmp_path / "taken")))
    with pytest.raises(NotFound, match="There is no directory"):
        inspect_source(str(tree), PurePosixPath(tmp_path / "a/b"))
    with pytest.raises(BadInput, match="absolute"):
        inspect_source(str(tree), PurePosixPath("relative/path"))


@pytest.mark.parametrize("change", ["mode", "owner", "through a link"])
def test_a_place_that_others_may_change_is_refused(tmp_path: Path, change: str) -> None:
    above = tmp_path / "above"
    (above / "inner").mkdir(parents=True)
    path = above / "inner/rootfs"
    if change == "owner":
        os.chown(above, 1000, 0)
    else:
        above.chmod(0o775)
    if change == "through a link":
        (tmp_path / "link").symlink_to(above)
        path = tmp_path / "link/inner/rootfs"
    with pytest.raises(Refused, match=f"others than root may change {above}"):
        check_parents(PurePosixPath(path))
    above.chmod(0o1777)
    os.chown(above, 0, 0)
    check_parents(PurePosixPath(path))


def test_without_a_source_debian_is_built_unless_a_tree_is_there(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(debian, "host_release", lambda: "trixie")
    assert default_source(PurePosixPath(tree)) is None
    assert default_source(PurePosixPath(tree / "nothing")) == "debian:trixie"


@pytest.mark.parametrize("source", ["debian:", "debian:Trixie", "debian:a/b", "debian:-o"])
def test_what_is_no_name_of_a_release_is_refused(source: str, store: PurePosixPath) -> None:
    with pytest.raises(BadInput, match="names no Debian release"):
        inspect(source, store)


def test_a_missing_program_is_named(store: PurePosixPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "_NEEDED", {"/usr/bin/no-mmdebstrap": "mmdebstrap"})
    with pytest.raises(HostNotReady, match="no-mmdebstrap") as caught:
        inspect("debian:trixie", store)
    assert "apt install mmdebstrap" in caught.value.remedy


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        ("404  Not Found", BadInput, "has no release 'nosuch'"),
        ("Could not resolve 'mirror'", HostNotReady, "cannot be reached: Could not resolve"),
    ],
)
def test_the_mirror_is_asked_for_the_release(
    store: PurePosixPath,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    error: type[BadInput],
    sentence: str,
) -> None:
    monkeypatch.setattr(debian, "_NEEDED", {})
    monkeypatch.setattr(debian, "host_release", lambda: "trixie")
    monkeypatch.setattr(debian, "_targets", lambda: "http://mirror/debian/ trixie main Debian")
    monkeypatch.setattr(debian, "_missing", lambda address: answer)
    with pytest.raises(error, match=sentence):
        inspect("debian:nosuch", store)


TARGETS = """\
http://mirror/debian/ trixie main Debian
http://mirror/debian/ trixie contrib Debian
http://mirror/debian/ trixie-updates main Debian
http://mirror/security/ trixie-security main Debian
https://elsewhere/docker/ trixie main Docker
https://elsewhere/node nodistro main NodeSource
"""


def test_the_hosts_release_comes_with_updates_and_security() -> None:
    assert [line.split()[-3:] for line in debian.sources(TARGETS, "trixie", "trixie")] == [
        ["http://mirror/debian", "trixie", "main"],
        ["http://mirror/debian", "trixie-updates", "main"],
        ["http://mirror/security", "trixie-security", "main"],
    ]


def test_another_release_comes_from_the_same_mirror() -> None:
    assert [line.split()[-3:] for line in debian.sources(TARGETS, "trixie", "sid")] == [
        ["http://mirror/debian", "sid", "main"]
    ]
    unfetched = "http://mirror/debian/ trixie main $(ORIGIN)"
    assert len(debian.sources(unfetched, "trixie", "sid")) == 1
    assert debian.sources(TARGETS, "bookworm", "sid") == []


def test_hostile_bytes_are_read_by_nobody(tmp_path: Path) -> None:
    listed = program(["/usr/bin/id", "-u"], nobody=True)
    with listed as feed:
        assert os.read(feed.descriptor, 20) == b"65534\n"
