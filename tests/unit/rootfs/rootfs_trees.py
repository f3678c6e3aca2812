"""Trees and archives to try things on."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from virtsec.kernel import filecap, posixacl
from virtsec.mac.protocol import TreeMarks
from virtsec.spec import IdRange

MARK = "trusted.virtsec-test"
IDS = IdRange(1_000_000)
INIT = PurePosixPath("/sbin/init")
NET_BIND = filecap.FileCapability(1 << 10, 0, True)


class Births:
    """A module under which files are born without a label, to get it by the walk."""

    def birth(self, marks: TreeMarks) -> Callable[[], None]:
        del marks
        return lambda: None


@dataclass
class Recorded:
    """Progress as it was told: (what, total, items) of each piece of work that ended."""

    done: list[tuple[str, int | None, int]] = field(default_factory=list)
    open: list[tuple[str, int | None]] = field(default_factory=list)
    count: int = 0

    def begin(self, what: str, total: int | None) -> None:
        self.open.append((what, total))
        self.count = 0

    def advance(self, items: int = 1) -> None:
        self.count += items

    def end(self) -> None:
        what, total = self.open.pop()
        self.done.append((what, total, self.count))


def make_tree(top: Path) -> Path:
    """A small merged-usr root with its init behind two links, as Debian's."""
    for name in ("etc", "usr/bin", "usr/sbin", "usr/lib/systemd", "dev", "var/log", "tmp"):
        (top / name).mkdir(parents=True)
    (top / "tmp").chmod(0o1777)
    (top / "sbin").symlink_to("usr/sbin")
    (top / "bin").symlink_to("usr/bin")
    (top / "usr/sbin/init").symlink_to("/usr/lib/systemd/systemd")
    (top / "usr/lib/systemd/systemd").write_text("init")
    (top / "usr/lib/systemd/systemd").chmod(0o755)
    (top / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (top / "etc/dangling").symlink_to("/nowhere")
    (top / "usr/bin/perl").write_text("perl")
    os.link(top / "usr/bin/perl", top / "usr/bin/perl5")
    (top / "usr/bin/su").write_text("su")
    os.chown(top / "usr/bin/su", 0, 42)
    (top / "usr/bin/su").chmod(0o6755)
    (top / "usr/bin/ping").write_text("ping")
    (top / "usr/bin/ping").chmod(0o755)
    os.setxattr(top / "usr/bin/ping", "security.capability", filecap.build(NET_BIND))
    (top / "var/log/mail").write_text("mail")
    os.chown(top / "var/log/mail", 8, 8)
    os.setxattr(top / "var/log", "system.posix_acl_default", acl(user=33, group=4))
    return top


def acl(user: int, group: int) -> bytes:
    """An ACL with one named user and one named group."""
    nobody = 2**32 - 1
    return posixacl.build(
        (
            posixacl.Entry(0x01, 7, nobody),
            posixacl.Entry(posixacl.USER, 6, user),
            posixacl.Entry(0x04, 5, nobody),
            posixacl.Entry(posixacl.GROUP, 4, group),
            posixacl.Entry(0x10, 7, nobody),
            posixacl.Entry(0x20, 5, nobody),
        )
    )


def everything(top: Path) -> list[Path]:
    """The tree's root and all under it."""
    return [top, *sorted(top.rglob("*"))]


def mark_of(path: Path) -> bytes | None:
    """The test's label on an inode itself."""
    return attribute(path, MARK)


def attribute(path: Path, name: str) -> bytes | None:
    """One attribute of an inode itself."""
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError:
        return None


def snapshot(top: Path, base: int = 0) -> dict[str, tuple[object, ...]]:
    """All that matters of a tree: kind, mode, owners counted from `base`, attributes, contents."""
    result: dict[str, tuple[object, ...]] = {}
    for path in everything(top):
        found = path.lstat()
        names = os.listxattr(path, follow_symlinks=False)
        result[str(path.relative_to(top))] = (
            oct(found.st_mode),
            found.st_uid - base,
            found.st_gid - base,
            {n: attribute(path, n) for n in names if not n.startswith("trusted.")},
            os.readlink(path) if path.is_symlink() else "",
            path.read_text() if path.is_file() and not path.is_symlink() else "",
        )
    return result


def member(
    name: str,
    kind: bytes = tarfile.REGTYPE,
    target: str = "",
    text: str = "",
    uid: int = 0,
    mode: int = 0o755,
) -> tuple[tarfile.TarInfo, bytes]:
    """One member for `make_archive`."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.uid, info.gid, info.mode = kind, target, uid, uid, mode
    info.size = len(text)
    return info, text.encode()


def directory(name: str) -> tuple[tarfile.TarInfo, bytes]:
    """A directory member."""
    return member(name, tarfile.DIRTYPE)


ROOT = (
    directory("./"),
    directory("./etc"),
    directory("./sbin"),
    member("./sbin/init", text="init"),
)


def make_archive(
    path: Path, members: Iterable[tuple[tarfile.TarInfo, bytes]] = (), mode: str = "w"
) -> Path:
    """An archive of a small root and `members`."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, data in (*ROOT, *members):
            archive.addfile(info, io.BytesIO(data))
    return path
