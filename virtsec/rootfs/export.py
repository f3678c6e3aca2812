"""A container in one archive: its tree as tar packs it, and its definition in front.

The definition is the comment of a global extended header, which every tar passes over (POSIX pax,
as `git archive` does it): what is exported can be unpacked by hand, and `virtsec define --from`
takes it as any other root. Owners count from 0 and labels are left out: both are made anew.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from virtsec.errors import BadInput, Failed, HostNotReady, NotFound
from virtsec.rootfs.archive import Compression, opened_archive
from virtsec.rootfs.feed import CLEAN, end
from virtsec.rootfs.trouble import explained
from virtsec.rootfs.unpack import packed
from virtsec.rootfs.walk import opened
from virtsec.spec import IdRange

#: By how a file's name ends, what packs it; a plain archive ends in .tar.
_PACKED = {".gz": Compression.GZIP, ".tgz": Compression.GZIP, ".xz": Compression.XZ,
           ".zst": Compression.ZSTD}  # fmt: skip
_PLAIN = ".tar"
_COMMENT = "comment"
_CHUNK = 1 << 20
_MODE = 0o600  # there are keys in it
#: Bytes of an archive that may be its description; more is none of ours.
_LARGEST = 1 << 20


def check_target(path: Path) -> Compression | None:
    """How what is called so is packed. Raises `BadInput`, `NotFound` and `HostNotReady`."""
    if path.suffix != _PLAIN and path.suffix not in _PACKED:
        raise BadInput(
            f"{path} does not say how it is to be packed.",
            f"Let its name end in {_PLAIN}, {', '.join(_PACKED)}.",
        )
    if not path.parent.is_dir():
        raise NotFound(f"There is no directory {path.parent}.", "Make it first.")
    if os.path.lexists(path):
        raise BadInput(f"{path} is there already.", "Choose another name, or remove it.")
    compression = _PACKED.get(path.suffix)
    if compression is not None and not Path(compression.path).exists():
        raise HostNotReady(
            f"This host has no {compression.path}.",
            f"Install it with `apt install {compression.package}`.",
        )
    return compression


def export_tree(
    rootfs: PurePosixPath,
    ids: IdRange | None,
    definition: str,
    path: Path,
    advance: Callable[[int], None],
) -> int:
    """Write the archive at `path`, which only root may read; returns its size in bytes.

    Until it is whole it has no name, so whatever interrupts this leaves nothing. `advance` is told
    the bytes read. Raises as `check_target` and `packed` do, and `RootfsFailed`.
    """
    compression = check_target(path)
    head = tarfile.TarInfo.create_pax_global_header({_COMMENT: definition})
    with explained("write", path), opened(rootfs) as root, _directory(path.parent) as directory:
        made = os.open(".", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, _MODE, dir_fd=directory)
        try:
            with packed(root.descriptor, ids) as feed, _packing(compression, made) as put:
                put(head)
                while data := os.read(feed.descriptor, _CHUNK):
                    put(data)
                    advance(len(data))
                problem = feed.drained()
            if problem is not None:
                raise Failed(f"Could not read {rootfs}: {problem}.", "Put it right, or remove it.")
            os.fsync(made)
            # Named by a descriptor, for linkat(2) follows no link unless it is told to.
            os.link(f"/proc/self/fd/{made}", path.name, dst_dir_fd=directory, follow_symlinks=True)
            return os.fstat(made).st_size
        finally:
            os.close(made)


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield held
    finally:
        os.close(held)


@contextmanager
def _packing(compression: Compression | None, target: int) -> Iterator[Callable[[bytes], None]]:
    """What takes bytes and has them, packed, in the file; all are there when the block is left."""
    if compression is None:
        with os.fdopen(os.dup(target), "wb") as file:
            yield lambda data: _all(file.write(data), data)
        return
    process = subprocess.Popen(
        (compression.path, "--stdout"), stdin=subprocess.PIPE, stdout=target, env=dict(CLEAN),
        stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stderr is not None
    try:
        stdin = process.stdin
        yield lambda data: _all(stdin.write(data), data)
        stdin.close()
        said = process.stderr.read().decode("utf-8", "replace").strip()
        if process.wait() != 0:
            raise Failed(f"{compression.path} failed: {said or process.returncode}.")
    finally:
        process.stderr.close()
        end(process)


def _all(written: int, data: bytes) -> None:
    assert written == len(data), "a buffered file takes all of it"


def definition_in(path: Path) -> str:
    """The definition in an archive that `export_tree` wrote.

    Raises `NotFound`, and `BadInput` where there is none.
    """
    with opened_archive(path) as feed, os.fdopen(os.dup(feed.descriptor), "rb") as stream:
        head = stream.read(_LARGEST)
    try:
        with tarfile.open(fileobj=io.BytesIO(head), mode="r:") as archive:
            definition = archive.pax_headers.get(_COMMENT)
    except (tarfile.TarError, ValueError, EOFError, RecursionError):
        definition = None
    if not definition:
        raise BadInput(
            f"{path} was not made by `virtsec export`.", f"Use `virtsec define NAME --from {path}`."
        )
    return definition
