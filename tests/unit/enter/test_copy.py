"""What comes out of a container is unpacked where it can do no harm, whatever the archive says."""

from __future__ import annotations

import io
import os
import signal
import socket
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from virtsec.enter import copy, door
from virtsec.enter.relay import Sink
from virtsec.errors import Failed, NotFound, Refused, VirtsecError
from virtsec.runtime import parcel

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may make the mounts")
TARGET = door.Target(1, 1, "smack", "vs1")
MANY = 2500  #: things that tar complains of: more than a pipe takes, of complaints


def archive(*members: tuple[str, Mapping[str, object], bytes]) -> bytes:
    """A tar with just these members, nothing about them checked."""
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w") as out:
        for name, fields, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for key, value in {"mode": 0o644, **fields}.items():
                setattr(member, key, value)
            out.addfile(member, io.BytesIO(content))
    return into.getvalue()


@contextmanager
def soon() -> Iterator[None]:
    """Raises `TimeoutError` where the block hangs."""

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


Comes = Callable[[bytes], None]


@pytest.fixture
def comes(monkeypatch: pytest.MonkeyPatch) -> Comes:
    """Makes what comes out of the container these bytes."""

    def comes(content: bytes) -> None:
        def pack(_target: object, _path: str, _user: str, sink: Sink) -> str:
            sink(content)
            return ""

        monkeypatch.setattr(door, "pack", pack)

    return comes


def snapshot(tree: Path) -> dict[str, object]:
    """All there is, with what it says."""
    return {
        str(path.relative_to(tree)): path.read_bytes() if path.is_file() else path.lstat().st_mode
        for path in tree.rglob("*")
    }


@NEEDS_ROOT
class TestOut:
    def test_a_file_is_roots_and_has_no_set_id_bits(self, comes: Comes, tmp_path: Path) -> None:
        comes(archive(("tool", {"mode": 0o6755, "uid": 1000, "gid": 1000}, b"content")))
        copy.copy_out(TARGET, "/usr/bin/tool", tmp_path)
        status = (tmp_path / "tool").stat()
        assert (tmp_path / "tool").read_bytes() == b"content"
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o755, 0, 0)
        assert sorted(tmp_path.iterdir()) == [tmp_path / "tool"]

    def test_a_directory_comes_whole_and_under_another_name(
        self, comes: Comes, tmp_path: Path
    ) -> None:
        folder = {"type": tarfile.DIRTYPE, "mode": 0o555}
        link = {"type": tarfile.SYMTYPE, "linkname": "/etc/shadow"}
        comes(archive(("d", folder, b""), ("d/file", {}, b"x"), ("d/link", link, b"")))
        copy.copy_out(TARGET, "/srv/d", tmp_path / "other")
        assert (tmp_path / "other/file").read_bytes() == b"x"
        assert (tmp_path / "other/link").readlink() == Path("/etc/shadow")

    @pytest.mark.parametrize(("name", "path"), [("keys", "/root/keys"), (".", "/root/keys/.")])
    def test_a_private_directory_stays_private(
        self, name: str, path: str, comes: Comes, tmp_path: Path
    ) -> None:
        folder = {"type": tarfile.DIRTYPE, "mode": 0o2700}
        comes(archive((name, folder, b""), (f"{name}/id", {}, b"x")))
        copy.copy_out(TARGET, path, tmp_path / "keys")
        assert (tmp_path / "keys/id").read_bytes() == b"x"
        assert (tmp_path / "keys").stat().st_mode & 0o7777 == 0o700

    @pytest.mark.parametrize(
        "members",
        [
            [("../out", {}, b"x")],
            [("/etc/virtsec-planted", {}, b"x")],
            [("x", {"type": tarfile.SYMTYPE, "linkname": ".."}, b""), ("x/out", {}, b"x")],
            [("x", {"type": tarfile.SYMTYPE, "linkname": "/etc"}, b""), ("x/planted", {}, b"x")],
            [("x", {"type": tarfile.LNKTYPE, "linkname": "../there"}, b""), ("x", {}, b"bad")],
            [("x", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}, b"")],
            [("other", {}, b"x")],
            [],
        ],
        ids=["..", "absolute", "link up", "link away", "hard link", "device", "name", "nothing"],
    )
    def test_a_hostile_archive_changes_nothing(
        self, members: list[tuple[str, Mapping[str, object], bytes]], comes: Comes, tmp_path: Path
    ) -> None:
        into = tmp_path / "into"
        into.mkdir()
        (tmp_path / "there").write_text("as it was")
        before = snapshot(tmp_path)
        etc = sorted(os.listdir("/etc"))
        comes(archive(*members))
        try:
            copy.copy_out(TARGET, "/srv/x", into)
        except VirtsecError as error:
            assert isinstance(error, Failed)
            assert snapshot(tmp_path) == before
        else:  # all of it went where it should
            assert snapshot(tmp_path).keys() - before.keys() == {"into/x"}
            assert (tmp_path / "there").read_text() == "as it was"
        assert sorted(os.listdir("/etc")) == etc

    def test_only_a_file_replaces_a_file(self, comes: Comes, tmp_path: Path) -> None:
        (tmp_path / "d").mkdir()
        (tmp_path / "d/kept").write_text("kept")
        (tmp_path / "f").write_text("old")
        comes(archive(("d", {"type": tarfile.DIRTYPE}, b"")))
        with pytest.raises(Refused, match="is there already"):
            copy.copy_out(TARGET, "/srv/d", tmp_path)
        comes(archive(("f", {}, b"new")))
        copy.copy_out(TARGET, "/srv/f", tmp_path)
        assert (tmp_path / "d/kept").read_text() == "kept"
        assert (tmp_path / "f").read_text() == "new"
        assert sorted(each.name for each in tmp_path.iterdir()) == ["d", "f"]

    def test_however_much_tar_complains_of_it_ends_and_tells_the_first(
        self, comes: Comes, tmp_path: Path
    ) -> None:
        device = {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}
        devices = [(f"x/a-device-{number}", device, b"") for number in range(MANY)]
        comes(archive(("x", {"type": tarfile.DIRTYPE}, b""), *devices))
        with soon(), pytest.raises(Failed, match="x/a-device-0: Cannot mknod"):
            copy.copy_out(TARGET, "/srv/x", tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_where_there_is_no_directory_nothing_is_asked_for(self, tmp_path: Path) -> None:
        with pytest.raises(NotFound, match="no directory"):
            copy.copy_out(TARGET, "/srv/x", tmp_path / "no/where")


class TestIn:
    @pytest.fixture(autouse=True)
    def came(self, monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
        """What goes into the container."""
        came: list[bytes] = []

        def unpack(_target: object, _path: str, _name: str, _user: str, source: int) -> str:
            while data := os.read(source, 1 << 16):
                came.append(data)
            return ""

        monkeypatch.setattr(door, "unpack", unpack)
        return came

    def test_however_much_tar_complains_of_the_rest_is_copied(
        self, came: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = tmp_path / "source"
        source.mkdir()
        (source / "file").write_text("content")
        monkeypatch.chdir(source)
        for number in range(MANY):
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(f"a-socket-of-somebodys-{number}")
        with soon():
            copy.copy_in(TARGET, source, "/srv")
        with tarfile.open(fileobj=io.BytesIO(b"".join(came))) as packed:
            assert packed.getnames() == ["source", "source/file"]

    def test_what_tar_says_last_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(copy, "_PACK", (*copy._PACK, "--no-such-option"))
        (tmp_path / "file").touch()
        with pytest.raises(Failed, match="was not copied: Try"):
            copy.copy_in(TARGET, tmp_path / "file", "/srv")


class TestParcel:
    """What runs inside, in a directory that stands for the container's root."""

    @pytest.fixture
    def streams(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], io.BytesIO]:
        """Sets what is read, and gives what is written."""

        def streams(content: bytes = b"") -> io.BytesIO:
            written = io.BytesIO()
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
            monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written))
            return written

        return streams

    def test_what_is_packed_is_unpacked_there_and_under_new_names(
        self, streams: Callable[..., io.BytesIO], tmp_path: Path
    ) -> None:
        source = tmp_path / "source"
        (source / "sub").mkdir(parents=True)
        (source / "sub/file").write_text("content")
        (source / "again").hardlink_to(source / "sub/file")
        written = streams()
        parcel.pack(str(source))
        packed = written.getvalue()
        for path, found in ((tmp_path / "new", "new"), (tmp_path, "source")):
            if path == tmp_path:
                source.rename(tmp_path / "moved")
            streams(packed)
            parcel.unpack(str(path), "source")
            assert (tmp_path / found / "sub/file").read_text() == "content"
            assert (tmp_path / found / "again").samefile(tmp_path / found / "sub/file")

    def test_contents_go_into_what_is_there(
        self, streams: Callable[..., io.BytesIO], tmp_path: Path
    ) -> None:
        (tmp_path / "from").mkdir()
        (tmp_path / "from/file").write_text("content")
        (tmp_path / "to").mkdir()
        written = streams()
        parcel.pack(f"{tmp_path}/from/.")
        streams(written.getvalue())
        parcel.unpack(str(tmp_path / "to"), ".")
        assert (tmp_path / "to/file").read_text() == "content"

    @pytest.mark.parametrize("path", ["nowhere/x", "nowhere"])
    def test_what_is_not_there_is_said(
        self, path: str, streams: Callable[..., io.BytesIO], tmp_path: Path
    ) -> None:
        streams()
        with pytest.raises(parcel.Unfit, match="there is no"):
            parcel.pack(str(tmp_path / path))
        if "/" in path:
            with pytest.raises(parcel.Unfit, match="there is no directory"):
                parcel.unpack(str(tmp_path / path), "x")

    @pytest.mark.parametrize(
        ("path", "name"),
        [("/a/b", "b"), ("b", "b"), ("/a/b/.", "."), ("/a/b/", "."), (".", ".")],
    )
    def test_a_copy_is_called_as_by_cp(self, path: str, name: str) -> None:
        assert parcel.name_of(path) == name
