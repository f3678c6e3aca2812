"""What an archive may hold, decided from tar's list of it."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tempfile
from contextlib import nullcontext, suppress
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from virtsec.errors import BadInput
from virtsec.kernel.openat2 import open_in_root
from virtsec.rootfs.members import Member, Members, parse_member, unquote

NAME = st.lists(
    st.sampled_from(["a", ".", " ", "é", '"', "\\", "\n", " -> ", " link to ", "\x01"]), min_size=1
).map("".join)
PART = st.sampled_from(["a", "b", "c", ".", "..", ""])
PATH = st.lists(PART, min_size=1, max_size=6).map("/".join).filter(bool)
INSIDE = (
    st.lists(st.sampled_from(["a", "b", ".", ""]), min_size=1, max_size=4)
    .map("/".join)
    .filter(lambda name: name and not name.startswith("/"))
)
PLACE = st.sampled_from(["c", "a/c", "b/c", "a/a/c", "a/b/b", "b/a"])


def line(name: str, kind: str = "-", target: str | None = None, owner: str = "0/0") -> bytes:
    """A line as tar writes it."""
    leads = {"l": " -> ", "h": " link to "}.get(kind, "")
    end = f'{leads}"{target}"' if target is not None else ""
    return f'{kind}rwxr-xr-x {owner}         7 2025-01-01 10:00 "{name}"{end}\n'.encode()


def members(*lines: bytes) -> Members:
    found = Members("x.tar")
    for one in lines:
        found.add(one)
    return found


@pytest.mark.parametrize(
    ("text", "member"),
    [
        (
            b'-rwsr-xr-x 0/42     118168 2025-04-19 10:00 "./usr/bin/passwd"\n',
            Member("-", 0, 42, "./usr/bin/passwd"),
        ),
        (
            b'lrwxrwxrwx 0/0       0 2025-11-08 20:20 "./a \\" -> b" -> "c\\n"\n',
            Member("l", 0, 0, './a " -> b', "c\n"),
        ),
        (
            b'hrw-r--r-- 10/8      0 2025-11-08 20:20 "./a link to b" link to "./c"\n',
            Member("h", 10, 8, "./a link to b", "./c"),
        ),
        (
            b'crw-rw-rw- 0/0     1,3 2025-11-08 20:20 "./dev/null"\n',
            Member("c", 0, 0, "./dev/null"),
        ),
        (
            b'drwxr-xr-x+ 0/4 0 2025-11-08 20:20 "./\\303\\251/"\n',
            Member("d", 0, 4, "./é/", acl=True),
        ),
    ],
)
def test_a_line_of_tars_list_is_read(text: bytes, member: Member) -> None:
    assert parse_member(text) == member


@given(st.binary(max_size=80))
def test_no_line_breaks_the_check(text: bytes) -> None:
    try:
        members(text)
    except BadInput as error:
        assert error.sentence


@settings(max_examples=40, deadline=None)
@given(st.lists(NAME.filter(lambda n: n.strip("./")), min_size=1, max_size=8, unique=True))
def test_names_of_any_kind_come_through_tar(names: list[str]) -> None:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    listed = subprocess.run(
        ["/usr/bin/tar", "-tv", "--numeric-owner", "--quoting-style=c", "-f", "-"],
        input=data.getvalue(),
        capture_output=True,
        env={"LC_ALL": "C"},
        check=False,
    ).stdout.splitlines()
    assert [parse_member(one).name for one in listed] == names


@pytest.mark.parametrize("name", ["../x", "./a/../../x", "/etc/passwd", "..", "a/.."])
def test_a_member_that_leads_out_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="leads out of the tree"):
        members(line(name))


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd"])
def test_a_hard_link_that_leads_out_is_refused(target: str) -> None:
    with pytest.raises(BadInput, match="leads out of the tree"):
        members(line("./x", "h", target))


@pytest.mark.parametrize("last", [line("./d/x"), line("./d/e/x"), line("./y", "h", "d/x")])
def test_a_member_behind_a_symlink_is_refused(last: bytes) -> None:
    with pytest.raises(BadInput, match="behind the symlink 'd'"):
        members(line("./d", "l", "/etc"), last)


def test_a_symlink_made_between_two_members_of_a_directory_is_noticed() -> None:
    with pytest.raises(BadInput, match="behind the symlink"):
        members(line("./d/x"), line("d", "l", "/etc"), line("./d/y"))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("-dl"), INSIDE), max_size=6))
def test_whatever_comes_before_nothing_behind_a_symlink_passes(
    found: list[tuple[str, str]],
) -> None:
    links: set[str] = set()
    behind = False
    for kind, name in found:
        parts = [part for part in name.split("/") if part not in ("", ".")]
        behind = behind or any("/".join(parts[:depth]) in links for depth in range(1, len(parts)))
        if kind == "l":
            links.add("/".join(parts))
    lines = [line(name, kind, "/etc" if kind == "l" else None) for kind, name in found]
    with pytest.raises(BadInput, match="behind the symlink") if behind else nullcontext():
        members(*lines)


@pytest.mark.parametrize(("kind", "word"), [("c", "device"), ("b", "device"), ("p", "fifo")])
def test_nodes_are_refused_outside_dev_only(kind: str, word: str) -> None:
    members(line("./dev/x", kind), line("dev/pts/y", kind))
    for name in ("./x", "./usr/dev/x", ".//dev/x", "./dev"):
        with pytest.raises(BadInput, match=word):
            members(line(name, kind))


@pytest.mark.parametrize("owner", ["65536/0", "0/70000"])
def test_an_id_no_container_has_is_refused(owner: str) -> None:
    members(line("./x", owner="65535/65535"))
    with pytest.raises(BadInput, match="belongs to the id"):
        members(line("./x", owner=owner))


@pytest.mark.parametrize("kind", ["D", "M", "V", "N", "?"])
def test_members_of_strange_kinds_are_refused(kind: str) -> None:
    with pytest.raises(BadInput, match="of a kind"):
        members(line("./x", kind))


def test_a_root_needs_an_init_that_its_own_links_lead_to() -> None:
    debian = members(
        line("./sbin", "l", "usr/sbin"),
        line("./usr/sbin/init", "l", "../lib/systemd/systemd"),
        line("./usr/lib/systemd/systemd"),
        line("./usr/sbin/again", "h", "./usr/lib/systemd/systemd"),
    )
    debian.check_root(PurePosixPath("/sbin/init"))
    debian.check_root(PurePosixPath("/sbin/again"))
    with pytest.raises(BadInput, match="has no init: /bin/init"):
        debian.check_root(PurePosixPath("/bin/init"))
    with pytest.raises(BadInput, match="no Linux root"):
        members(line("./README")).check_root(PurePosixPath("/README"))


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(PLACE, PATH, max_size=5), PATH)
def test_links_lead_where_the_kernel_follows_them_to(links: dict[str, str], path: str) -> None:
    with tempfile.TemporaryDirectory() as top:
        for place in ("a/a", "a/b", "b"):
            Path(top, place).mkdir(parents=True, exist_ok=True)
        made = {}
        for place, target in links.items():
            with suppress(OSError):
                os.symlink(target, Path(top, place))
                made[place] = target
        root = os.open(top, os.O_PATH)
        try:
            reached = open_in_root(root, path, os.O_PATH)
        except OSError:
            return
        finally:
            os.close(root)
        where = os.path.relpath(os.readlink(f"/proc/self/fd/{reached}"), os.path.realpath(top))
        os.close(reached)
    assert Members("x.tar", links=made).resolve(path) == where.removeprefix(".")


def test_names_that_are_no_text_are_kept() -> None:
    assert os.fsencode(unquote(b"a\\377b")) == b"a\xffb"
    assert Path(unquote(b"a\\\\b\\tc")) == Path("a\\b\tc")
