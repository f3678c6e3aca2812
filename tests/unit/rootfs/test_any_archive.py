"""Archives as anybody may make them: refused, or unpacked into the tree and nowhere else.

The check is tried alone: who unpacks here believes every name. (What holds an archive that got by
the check is tried in test_rootfs_unpack.)
"""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from virtsec.errors import VirtsecError
from virtsec.rootfs.archive import TAR, check_archive
from virtsec.rootfs.export import definition_in

INIT = PurePosixPath("/sbin/init")
#: Stands for the directory beside the tree; no name here leads further up than to what is ours.
OUTSIDE, DEEP = "OUTSIDE", "1/2/3/4/5/6/7/8"
PART = st.sampled_from(["a", "b", "c", "é\n", ".", "..", "sbin", "dev"])
NAME = st.builds(
    lambda start, parts: f"{start}{'/'.join(parts)}",
    st.sampled_from(["", "", "./", f"{OUTSIDE}/", "../outside/"]),
    st.lists(PART, min_size=1, max_size=4),
)
TYPES = {
    "file": tarfile.REGTYPE,
    "directory": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "link": tarfile.LNKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "old": tarfile.AREGTYPE,
    "sparse": tarfile.GNUTYPE_SPARSE,
    "contiguous": tarfile.CONTTYPE,
}


@dataclass(frozen=True)
class Entry:
    """A member to be; both names may lead anywhere."""

    kind: str
    name: str
    target: str
    mode: int = 0o755


ENTRY = st.builds(
    Entry, st.sampled_from(sorted(TYPES)), NAME, NAME, st.sampled_from([0o755, 0o777, 0o4755, 0])
)


def archived(entries: list[Entry], outside: Path) -> bytes:
    """A tar with what a root must have, and these."""
    data = io.BytesIO()
    root = [Entry("directory", "./etc", ""), Entry("file", "./sbin/init", "")]
    with tarfile.open(fileobj=data, mode="w") as archive:
        for each in [*root, *entries]:
            member = tarfile.TarInfo(each.name.replace(OUTSIDE, str(outside)))
            member.linkname = each.target.replace(OUTSIDE, str(outside))
            member.type, member.mode = TYPES[each.kind], each.mode
            holds = each.kind in ("file", "old", "contiguous")
            member.size = 5 if holds else 0
            archive.addfile(member, io.BytesIO(b"inner") if holds else None)
    return data.getvalue()


def state(top: Path) -> dict[str, object]:
    """All that is in a directory, with what an archive could change of it."""
    found: dict[str, object] = {}
    for path in sorted(top.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = status.st_mode, status.st_nlink, status.st_ino, content
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(ENTRY, max_size=5))
@example([Entry("file", "../outside/secret", "")])
@example([Entry("file", f"{OUTSIDE}/secret", "")])
@example([Entry("symlink", "a", f"{OUTSIDE}/"), Entry("file", "a/secret", "")])
@example([Entry("symlink", "a", "../outside"), Entry("link", "b", "a/secret")])
@example([Entry("symlink", "a", "../outside"), Entry("directory", "a", "", 0o777)])
@example([Entry("symlink", "a", "../outside/secret"), Entry("link", "b", "a"),
          Entry("file", "b", "")])  # fmt: skip
def test_no_member_leads_out_of_the_tree(entries: list[Entry]) -> None:
    with tempfile.TemporaryDirectory() as top:
        above = Path(top, DEEP)
        tree, outside, archive = above / "tree", above / "outside", Path(top, "x.tar")
        for each in (tree, outside / "a", outside / "b"):
            each.mkdir(parents=True)
        for each in (outside / "secret", outside / "a/c", above / "c"):
            each.write_text("outer")
        archive.write_bytes(archived(entries, outside))
        try:
            check_archive(archive, INIT)
        except VirtsecError as error:
            event("refused")
            assert error.sentence
            return
        event("unpacked")
        before = {path: what for path, what in state(Path(top)).items() if path != str(tree)}
        words = [TAR, "--extract", "--absolute-names", f"--directory={tree}", f"--file={archive}"]
        subprocess.run(words, capture_output=True, env={"LC_ALL": "C"}, check=False)
        assert (tree / "etc").is_dir(), "nothing was unpacked"
        after = state(Path(top))
        inside = {path for path in after if path.startswith(str(tree))}
        assert {path: what for path, what in after.items() if path not in inside} == before


def pax(count: int) -> bytes:
    """Headers, each about the next."""
    one = tarfile.TarInfo.create_pax_global_header({"comment": "x"})
    return one * count + tarfile.TarInfo("x").tobuf() + bytes(1024)


WHOLE = archived([Entry("symlink", "a", "b"), Entry("file", "é\n" * 60, "")], Path("/"))
MARKS = st.sampled_from([b"", b"\0" * 8, b"\xff" * 8, b"7" * 12, b"x", b"L", b"K", b"g", b"S",
                         b"\x80" + b"\xff" * 11, b"30 mtime=nan\n", b"-1"])  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 12), MARKS), max_size=4),
    st.integers(0, 6000),
    st.booleans(),
)
@example([(0, 0, pax(900))], 10**6, False)
def test_any_bytes_are_unpacked_or_refused(
    edits: list[tuple[int, int, bytes]], length: int, packed: bool
) -> None:
    data = gzip.compress(WHOLE) if packed else WHOLE
    for at, cut, mark in edits:
        start = at % len(data)
        data = data[:start] + mark + data[start + cut :]
    with tempfile.NamedTemporaryFile(suffix=".tar") as file:
        file.write(data[:length] if length < len(data) else data)
        file.flush()
        for read in (lambda path: check_archive(path, INIT), definition_in):
            try:
                read(Path(file.name))
            except VirtsecError as error:
                assert error.sentence
