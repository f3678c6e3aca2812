"""What the hook does on disk: the container wrote the tree, and nothing outside it ever changes."""

from __future__ import annotations

import os
import posix
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.rounds import ROUNDS, attacker
from tests.unit.runtime.runtime_samples import ATTRIBUTE, Container, label_of
from virtsec.runtime import disk, init, rules
from virtsec.runtime import start as metadata
from virtsec.runtime.domain import parse
from virtsec.runtime.judgement import judged, prepare
from virtsec.runtime.refusal import Refused
from virtsec.runtime.start import SELinux, Smack, Start

FILE = "system_u:object_r:vs1_file_t:s0:c1,c2"
INIT = "system_u:object_r:vs1_exec_t:s0:c1,c2"
HOST = "system_u:object_r:shadow_t:s0"


@pytest.fixture
def canary(stopped: Container) -> Path:
    """A file of the host's: whatever init is made to be, this one never changes."""
    path = stopped.base / "canary"
    path.write_bytes(b"the host's own")
    path.chmod(0o755)
    stopped.label(path, HOST)
    return path


def state(path: Path) -> tuple[object, ...]:
    """All of an inode that a hook gone wrong could change."""
    found = path.stat()
    kept = found.st_mode, found.st_uid, found.st_gid, found.st_nlink, found.st_mtime_ns
    return *kept, path.read_bytes(), label_of(path)


def assert_refused(stopped: Container, *reasons: str) -> None:
    ended = stopped.start()
    assert ended.status == 1, "it was let start"
    assert "Traceback" not in ended.error
    assert all(reason in ended.error for reason in reasons), ended.error


def exchange_init(stopped: Container) -> Path:
    """The place of init, with nothing there."""
    stopped.init.unlink()
    return stopped.init


class TestInit:
    def test_it_gets_inits_label_where_debian_has_it(self, stopped: Container) -> None:
        assert stopped.start().status == 0
        assert label_of(stopped.init) == INIT

    def test_it_keeps_the_label_at_the_next_start(self, stopped: Container) -> None:
        assert stopped.start().status == 0
        assert stopped.start().status == 0
        assert label_of(stopped.init) == INIT

    def test_nothing_else_of_it_changes(self, stopped: Container) -> None:
        before = stopped.init.stat()
        assert stopped.start().status == 0
        after = stopped.init.stat()
        assert (before.st_mode, before.st_ino) == (after.st_mode, after.st_ino)
        assert stopped.init.read_bytes() == b"#!/bin/true\n"

    def test_an_upgraded_init_is_labelled_in_its_place(self, stopped: Container) -> None:
        """dpkg unpacks beside it and renames: a new inode, labelled as the container's files."""
        assert stopped.start().status == 0
        new = stopped.init.with_name("systemd.dpkg-new")
        new.write_bytes(b"#!/bin/new\n")
        new.chmod(0o755)
        stopped.label(new)
        new.rename(stopped.init)
        assert stopped.start().status == 0
        assert label_of(stopped.init) == INIT

    def test_sbin_moved_away_and_another_init_in_its_place(self, stopped: Container) -> None:
        """The attack of 2009: what runs then is the other one, and it runs confined."""
        (stopped.root / "sbin").rename(stopped.root / "sbin.old")
        other = stopped.root / "sbin" / "init"
        other.parent.mkdir()
        other.write_bytes(b"#!/bin/evil\n")
        other.chmod(0o755)
        stopped.label(other)
        assert stopped.start().status == 0
        assert label_of(other) == INIT
        assert label_of(stopped.init) == FILE


class TestAttacksWithInit:
    """Each way to make init something else: harmless or refused, and the canary never changes."""

    @pytest.fixture(autouse=True)
    def unchanged(self, canary: Path) -> Iterator[None]:
        before = state(canary)
        yield
        assert state(canary) == before

    def test_a_symlinked_init_never_changes_an_inode_outside(
        self, stopped: Container, canary: Path
    ) -> None:
        exchange_init(stopped).symlink_to(canary)
        assert_refused(stopped, "No such file")

    def test_a_relative_symlink_does_not_climb_out(self, stopped: Container, canary: Path) -> None:
        exchange_init(stopped).symlink_to("../" * 40 + str(canary)[1:])
        assert_refused(stopped, "No such file")

    def test_a_symlinked_directory_does_not_lead_out(
        self, stopped: Container, canary: Path
    ) -> None:
        (stopped.root / "sbin").unlink()
        (stopped.root / "sbin").symlink_to(stopped.base)
        (stopped.base / "init").symlink_to(canary)
        assert_refused(stopped, "No such file")

    def test_a_link_to_the_hosts_shadow_is_the_containers_own(self, stopped: Container) -> None:
        """Absolute links mean the container's tree, as they do when it runs."""
        exchange_init(stopped).symlink_to("/etc/shadow")
        own = stopped.root / "etc/shadow"
        own.parent.mkdir()
        own.write_bytes(b"root:*:")
        own.chmod(0o755)
        stopped.label(own)
        assert stopped.start().status == 0
        assert label_of(own) == INIT

    def test_a_chain_of_links_is_followed_inside(self, stopped: Container) -> None:
        stopped.init.rename(stopped.root / "real")
        last = "/real"
        for index in range(20):
            (stopped.root / f"link{index}").symlink_to(last)
            last = f"/link{index}"
        stopped.init.symlink_to(last)
        assert stopped.start().status == 0
        assert label_of(stopped.root / "real") == INIT

    def test_a_loop_of_links_is_refused(self, stopped: Container) -> None:
        exchange_init(stopped).symlink_to("/usr/sbin/init")
        assert_refused(stopped, "symbolic links")

    def test_a_hard_link_to_a_file_of_the_host_is_refused(
        self, stopped: Container, canary: Path
    ) -> None:
        exchange_init(stopped)
        os.link(canary, stopped.init)
        try:
            assert_refused(stopped, HOST)
        finally:
            stopped.init.unlink()

    def test_a_file_of_another_container_is_refused(self, stopped: Container) -> None:
        for label in (
            FILE.replace("vs1", "vs2"),
            INIT.replace("vs1", "vs2"),
            FILE.replace("c1,c2", "c1,c3"),
            FILE.replace(":c1,c2", ""),
            f"{FILE},c3",
        ):
            stopped.label(stopped.init, label)
            assert_refused(stopped, label)
            assert label_of(stopped.init) == label

    def test_a_file_without_label_is_refused(self, stopped: Container) -> None:
        os.removexattr(stopped.init, ATTRIBUTE)
        assert_refused(stopped, "label ''")
        assert ATTRIBUTE not in os.listxattr(stopped.init)

    def test_a_fifo_is_refused_and_does_not_hold_up_libvirt(self, stopped: Container) -> None:
        os.mkfifo(exchange_init(stopped), 0o755)
        assert_refused(stopped, "not an executable file")

    def test_a_directory_is_refused(self, stopped: Container) -> None:
        exchange_init(stopped).mkdir()
        assert_refused(stopped, "not an executable file")

    def test_a_socket_is_refused(self, stopped: Container, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(exchange_init(stopped).parent)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(stopped.init.name)
            assert_refused(stopped, "not an executable file")

    def test_a_device_is_refused_unopened(self, stopped: Container) -> None:
        """The host's own /dev/null stands for any: its directory is the root, so to speak."""
        start = start_of(stopped)
        start.init = "/null"
        with pytest.raises(Refused, match="not an executable file"):
            init.find_init(start, os.open("/dev", os.O_PATH))

    def test_a_dangling_link_is_refused(self, stopped: Container) -> None:
        exchange_init(stopped).symlink_to("nowhere")
        assert_refused(stopped, "No such file")

    def test_a_missing_init_is_refused(self, stopped: Container) -> None:
        exchange_init(stopped)
        assert_refused(stopped, "/sbin/init", "No such file")

    def test_a_file_where_a_directory_was_is_refused(self, stopped: Container) -> None:
        (stopped.root / "sbin").unlink()
        (stopped.root / "sbin").write_bytes(b"")
        assert_refused(stopped, "Not a directory")

    def test_a_file_that_cannot_be_executed_is_refused(self, stopped: Container) -> None:
        stopped.init.chmod(0o644)
        assert_refused(stopped, "not an executable file")

    @pytest.mark.parametrize("path", ["/proc/self/exe", "/proc/1/exe", "/dev/stdin"])
    def test_neither_magic_links_nor_mounts_are_crossed(
        self, path: str, stopped: Container
    ) -> None:
        """A root that has the host's /proc in it, as a tree has where someone left one mounted."""
        start = start_of(stopped)
        start.init = path
        with pytest.raises(Refused, match="there is no init"):
            init.find_init(start, os.open("/", os.O_PATH))

    def test_a_mount_is_not_crossed_by_a_plain_path(self, stopped: Container) -> None:
        start = start_of(stopped)
        start.init = "/proc/version"
        with pytest.raises(Refused, match="cross-device"):
            init.find_init(start, os.open("/", os.O_PATH))

    def test_a_magic_link_is_not_followed_on_the_same_mount(self, stopped: Container) -> None:
        start = start_of(stopped)
        start.init = "/self/exe"
        with pytest.raises(Refused, match="symbolic links"):
            init.find_init(start, os.open("/proc", os.O_PATH))

    def test_a_file_of_a_user_of_the_host_is_refused(self, stopped: Container) -> None:
        start = start_of(stopped)
        start.owner = os.getuid() + 1
        with pytest.raises(Refused, match="of the host"):
            init.find_init(start, os.open(stopped.root, os.O_PATH))

    def test_a_name_that_is_not_utf8_is_no_way_out(self, stopped: Container) -> None:
        odd = os.fsencode(stopped.root) + b"/\xff\xfe"
        os.rename(stopped.init, odd)
        exchange = os.fsencode(stopped.init)
        os.symlink(b"/\xff\xfe", exchange)
        assert stopped.start().status == 0
        assert os.getxattr(odd, ATTRIBUTE) == f"{INIT}\0".encode()


def start_of(stopped: Container) -> Start:
    """The start that the hook would judge, for tests that call its functions."""
    with known(stopped) as start:
        return start


@contextmanager
def known(stopped: Container) -> Iterator[Start]:
    """The hook's functions in this process, with the tables that `stopped` needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata, "CONTROLLER", f"{stopped.base}/controller")
        patch.setattr(metadata, "STORE", f"{stopped.base}/store")
        patch.setattr(metadata, "LOWEST_ID", 0)
        for module in (metadata, disk, init):
            patch.setattr(module, "TRUSTED_IDS", (os.getuid(), 0))
        patch.setattr(disk, "PACKETS", "/")
        patch.setattr(SELinux, "attribute", ATTRIBUTE)
        patch.setattr(SELinux, "running", "/")
        start = judged("vs1", parse(stopped.xml.encode()))
        assert start is not None
        yield start


def descriptors() -> set[int]:
    """Those open now, without the one that lists them."""
    own = "/proc/self/fd"
    return {int(name) for name in os.listdir(own) if os.path.lexists(f"{own}/{name}")}


@contextmanager
def descriptors_closed() -> Iterator[None]:
    """Close what the hook leaves to the end of its process."""
    before = descriptors()
    yield
    for left in descriptors() - before:
        os.close(left)


class TestRaces:
    """Rounds against an attacker that never stops; both outcomes must have been met in them."""

    def race(
        self,
        stopped: Container,
        canary: Path,
        act: Callable[[Start], None],
        *steps: Callable[[], None],
    ) -> None:
        before, seen = state(canary), {"refused": 0, "passed": 0}
        with known(stopped) as start, attacker(*steps):
            for _ in range(ROUNDS):
                with descriptors_closed():
                    try:
                        act(start)
                        seen["passed"] += 1
                    except (Refused, OSError):
                        seen["refused"] += 1
                assert state(canary) == before
        assert min(seen.values()) > 0, seen

    def test_init_exchanged_for_a_link_to_the_canary(
        self, stopped: Container, canary: Path
    ) -> None:
        link, file = stopped.root / "link", stopped.root / "file"
        link.symlink_to(canary)
        stopped.init.rename(file)

        def put(source: Path) -> Callable[[], None]:
            spare = stopped.init.with_name("spare")

            def step() -> None:
                os.link(source, spare, follow_symlinks=False)
                os.rename(spare, stopped.init)
                spare.unlink(missing_ok=True)

            return step

        put(file)()
        self.race(stopped, canary, label, put(link), put(file))

    def test_init_exchanged_for_a_hard_link_of_the_canary(
        self, stopped: Container, canary: Path
    ) -> None:
        spare, own = stopped.base / "spare", stopped.init.with_name("own")
        os.link(canary, spare)

        def swap() -> None:
            os.rename(stopped.init, own)
            os.rename(spare, stopped.init)
            os.rename(stopped.init, spare)
            os.rename(own, stopped.init)

        self.race(stopped, canary, label, swap)

    def test_a_directory_above_init_exchanged_for_a_link_out(
        self, stopped: Container, canary: Path
    ) -> None:
        outside = stopped.base / "outside" / "systemd"
        outside.mkdir(parents=True)
        (outside / "systemd").symlink_to(canary)
        directory, away, link = (stopped.init.parent, stopped.root / "away", stopped.root / "link")
        link.symlink_to(outside)

        def swap() -> None:
            os.rename(directory, away)
            os.rename(link, directory)
            os.rename(directory, link)
            os.rename(away, directory)

        self.race(stopped, canary, label, swap)

    def test_pristine_writes_nowhere_else_while_directories_move(
        self, stopped: Container, canary: Path
    ) -> None:
        """The copy is put into a directory of the tree, or nowhere."""
        outside = stopped.base / "outside"
        outside.mkdir()
        os.link(canary, outside / "systemd")
        keep_pristine(stopped, b"the kept one")
        directory, away, link = (stopped.init.parent, stopped.root / "away", stopped.root / "link")
        link.symlink_to(outside)

        def swap() -> None:
            os.rename(directory, away)
            os.rename(link, directory)
            os.rename(directory, link)
            os.rename(away, directory)

        def act(start: Start) -> None:
            assert os.listdir(outside) == ["systemd"]
            stopped.pristine.write_bytes(os.urandom(8))
            root = os.open(start.root, os.O_PATH)
            init.restore_init(start, root, init.find_init(start, root))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(posix, "fsync", lambda _: None)  # it would take most of the time
            self.race(stopped, canary, act, swap)
        assert os.listdir(outside) == ["systemd"]


def label(start: Start) -> None:
    """The part of the hook that an attacker would want to mislead."""
    init.label_init(start, os.open(start.root, os.O_PATH))


def keep_pristine(stopped: Container, content: bytes) -> None:
    stopped.edit('policy="own"', 'policy="pristine"')
    stopped.pristine.write_bytes(content)
    stopped.pristine.chmod(0o600)


class TestPristine:
    def test_a_changed_init_is_put_back(self, stopped: Container) -> None:
        keep_pristine(stopped, b"the kept one")
        assert stopped.start().status == 0
        assert stopped.init.read_bytes() == b"the kept one"
        assert label_of(stopped.init) == INIT
        assert stat.S_IMODE(stopped.init.stat().st_mode) == 0o755
        assert [path.name for path in stopped.init.parent.iterdir()] == ["systemd"]

    def test_an_init_that_is_the_same_stays_the_same_inode(self, stopped: Container) -> None:
        keep_pristine(stopped, stopped.init.read_bytes())
        before = stopped.init.stat().st_ino
        assert stopped.start().status == 0
        assert stopped.init.stat().st_ino == before
        assert label_of(stopped.init) == INIT

    @pytest.mark.parametrize(
        "now",
        [b"", b"the kept one and more", b"the kept", b"x" * 3_000_000],
        ids=["empty", "longer", "shorter", "far longer"],
    )
    def test_any_difference_counts(self, now: bytes, stopped: Container) -> None:
        stopped.init.write_bytes(now)
        keep_pristine(stopped, b"the kept one")
        assert stopped.start().status == 0
        assert stopped.init.read_bytes() == b"the kept one"

    def test_a_start_that_was_killed_left_nothing_in_the_way(self, stopped: Container) -> None:
        stopped.init.with_name(init.TEMPORARY).write_bytes(b"half")
        keep_pristine(stopped, b"the kept one")
        assert stopped.start().status == 0
        assert stopped.init.read_bytes() == b"the kept one"
        assert not stopped.init.with_name(init.TEMPORARY).exists()

    def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(
        self, stopped: Container, canary: Path
    ) -> None:
        before = state(canary)
        stopped.init.with_name(init.TEMPORARY).symlink_to(canary)
        keep_pristine(stopped, b"the kept one")
        assert stopped.start().status == 0
        assert state(canary) == before

    def test_a_link_put_there_at_the_last_moment_is_not_followed(
        self, stopped: Container, canary: Path
    ) -> None:
        """As if the attacker won the race between looking and creating."""
        before = state(canary)
        stopped.init.with_name(init.TEMPORARY).symlink_to(canary)
        keep_pristine(stopped, b"the kept one")
        with known(stopped) as start, pytest.MonkeyPatch.context() as patch:
            patch.setattr(posix, "listdir", lambda _: [])
            with pytest.raises(FileExistsError):
                prepare(start)
        assert state(canary) == before

    def test_a_directory_moved_at_the_last_moment_is_not_followed(self, stopped: Container) -> None:
        """As if the attacker won the race between finding init and opening its directory."""
        outside = stopped.base / "outside"
        outside.mkdir()
        keep_pristine(stopped, b"the kept one")
        readlink = os.readlink

        def swap(path: str) -> str:
            found = readlink(path)
            if found == str(stopped.init):
                stopped.init.parent.rename(stopped.root / "away")
                stopped.init.parent.symlink_to(outside)
            return found

        with known(stopped) as start, pytest.MonkeyPatch.context() as patch:
            patch.setattr(posix, "readlink", swap)
            with pytest.raises(OSError, match="symbolic links"):
                prepare(start)
        assert stopped.init.parent.is_symlink()
        assert os.listdir(outside) == []

    def test_when_it_cannot_be_written_the_old_one_stays_and_nothing_starts(
        self, stopped: Container
    ) -> None:
        keep_pristine(stopped, b"the kept one")
        stopped.init.with_name(init.TEMPORARY).mkdir()
        assert_refused(stopped)
        assert stopped.init.read_bytes() == b"#!/bin/true\n"
        assert label_of(stopped.init) == FILE

    def test_a_failure_half_way_leaves_no_file(self, stopped: Container) -> None:
        keep_pristine(stopped, b"the kept one")
        with known(stopped) as start, pytest.MonkeyPatch.context() as patch:

            def full(*_: object) -> None:
                raise OSError(28, "No space left on device")

            patch.setattr(init, "put_label", full)
            with pytest.raises(OSError, match="No space"):
                prepare(start)
        assert [path.name for path in stopped.init.parent.iterdir()] == ["systemd"]
        assert stopped.init.read_bytes() == b"#!/bin/true\n"

    def test_without_a_copy_nothing_starts(self, stopped: Container) -> None:
        keep_pristine(stopped, b"")
        stopped.pristine.unlink()
        assert_refused(stopped, "init.pristine")

    def test_a_copy_that_others_may_write_is_none(self, stopped: Container) -> None:
        keep_pristine(stopped, b"the kept one")
        stopped.pristine.chmod(0o666)
        assert_refused(stopped, "others than root")

    def test_a_linked_copy_is_none(self, stopped: Container, canary: Path) -> None:
        keep_pristine(stopped, b"")
        stopped.pristine.unlink()
        stopped.pristine.symlink_to(canary)
        assert_refused(stopped, "symbolic link")

    def test_an_init_of_the_host_is_not_exchanged_either(
        self, stopped: Container, canary: Path
    ) -> None:
        keep_pristine(stopped, b"the kept one")
        exchange_init(stopped)
        os.link(canary, stopped.init)
        assert_refused(stopped, HOST)
        assert stopped.init.samefile(canary)


class TestOrders:
    """What the controller does by itself is what the metadata says."""

    @pytest.fixture
    def orders(self, stopped: Container) -> Path:
        """The file, with what the metadata says."""
        wanted = f'<virtsec:limits files="300"/><virtsec:idmap source="{stopped.base}/data"/>'
        stopped.edit("<virtsec:root", f"{wanted}<virtsec:root")
        path = stopped.root.parent / "orders"
        path.write_text(f"files 300\nidmap {os.getuid()} {stopped.base}/data\n")
        path.chmod(0o600)
        return path

    def test_what_agrees_starts(self, stopped: Container, orders: Path) -> None:
        assert orders.exists()
        ended = stopped.start()
        assert (ended.status, ended.error) == (0, "")

    def test_so_it_does_in_whatever_order(self, stopped: Container, orders: Path) -> None:
        orders.write_text("".join(reversed(orders.read_text().splitlines(keepends=True))))
        assert (stopped.start().status, stopped.start().error) == (0, "")

    @pytest.mark.parametrize("text", ["", "files 300\n", "files 300\nidmap 0 /etc\n", "\udcff\0"])
    def test_what_differs_does_not(self, text: str, stopped: Container, orders: Path) -> None:
        orders.write_text(text, errors="surrogateescape")
        assert_refused(stopped, "orders says")

    def test_none_where_there_are_to_be_some(self, stopped: Container, orders: Path) -> None:
        orders.unlink()
        assert_refused(stopped, "orders says ''")

    def test_some_where_there_are_to_be_none(self, stopped: Container) -> None:
        (stopped.root.parent / "orders").write_text("files 300\n")
        assert_refused(stopped, "orders says")

    def test_what_others_may_write_or_is_a_link(self, stopped: Container, orders: Path) -> None:
        orders.chmod(0o666)
        assert_refused(stopped, "others than root may write")
        orders.rename(stopped.base / "elsewhere")
        orders.symlink_to(stopped.base / "elsewhere")
        assert_refused(stopped, "symbolic link")


class TestWhatAStartReliesOn:
    def test_a_linked_root_is_refused(self, stopped: Container) -> None:
        stopped.root.rename(stopped.base / "elsewhere")
        stopped.root.symlink_to(stopped.base / "elsewhere")
        assert_refused(stopped, "symbolic link")

    def test_a_link_above_the_root_is_refused(self, stopped: Container) -> None:
        (stopped.base / "store").rename(stopped.base / "elsewhere")
        (stopped.base / "store").symlink_to(stopped.base / "elsewhere")
        assert_refused(stopped, "symbolic link")

    def test_a_missing_root_is_refused(self, stopped: Container) -> None:
        stopped.root.rename(stopped.base / "elsewhere")
        assert_refused(stopped, "rootfs")

    def test_a_file_as_root_is_refused(self, stopped: Container) -> None:
        stopped.root.rename(stopped.base / "elsewhere")
        stopped.root.write_bytes(b"")
        assert_refused(stopped, "is not what it should be")

    def test_a_root_of_another_user_is_refused(self, stopped: Container) -> None:
        with known(stopped) as start:
            start.owner = os.getuid() + 1
            with pytest.raises(Refused, match="is not what it should be"):
                prepare(start)

    @pytest.mark.parametrize("mode", [0o775, 0o757])
    def test_a_directory_that_others_may_change_is_refused(
        self, mode: int, stopped: Container
    ) -> None:
        (stopped.base / "store").chmod(mode)
        assert_refused(stopped, "others than root", "'vs1'")

    @pytest.mark.parametrize("mode", [0o775, 0o757])
    def test_a_controller_that_others_may_write_is_refused(
        self, mode: int, stopped: Container
    ) -> None:
        (stopped.base / "controller").chmod(mode)
        assert_refused(stopped, "controller")

    def test_a_linked_or_missing_controller_is_refused(self, stopped: Container) -> None:
        controller = stopped.base / "controller"
        controller.rename(stopped.base / "other")
        assert_refused(stopped, "controller")
        controller.symlink_to(stopped.base / "other")
        assert_refused(stopped, "symbolic link")

    @pytest.mark.parametrize("place", ["data", "proc", "sys", "dev", ".oldroot", "scratch"])
    def test_libvirt_meets_no_link_where_it_mounts(
        self, place: str, stopped: Container, canary: Path
    ) -> None:
        (stopped.root / place).symlink_to(canary.parent)
        assert_refused(stopped, f"/{place} has a link in it")

    def test_libvirt_meets_no_link_above_where_it_mounts(self, stopped: Container) -> None:
        stopped.edit("dir='/data'", "dir='/var/run/data'")
        (stopped.root / "var").mkdir()
        assert stopped.start().status == 0
        (stopped.root / "var/run").symlink_to("/.oldroot/etc")
        assert_refused(stopped, "/var/run/data has a link in it")

    def test_a_bind_inside_meets_no_link_either(self, stopped: Container) -> None:
        stopped.edit(f"<source dir='{stopped.base}/data'/>", "<source dir='/inner'/>")
        stopped.xml = stopped.xml.replace(
            "<filesystem type='mount' accessmode='passthrough'>\n      <source dir='/inner'/>",
            "<filesystem type='bind' accessmode='passthrough'>\n      <source dir='/inner'/>",
        )
        (stopped.root / "inner").mkdir()
        assert stopped.start().status == 0
        (stopped.root / "inner").rmdir()
        (stopped.root / "inner").symlink_to("/.oldroot/etc")
        assert_refused(stopped, "/inner has a link in it")

    def test_a_mount_leads_through_no_link_of_the_host(self, stopped: Container) -> None:
        (stopped.base / "data").rmdir()
        assert_refused(stopped, "is not there")
        (stopped.base / "data").symlink_to("/proc")
        assert_refused(stopped, "has a link in it")

    def test_the_hosts_whole_tree_may_be_shown_elsewhere(self, stopped: Container) -> None:
        """That is what the label is for: the demonstration's own attack starts from here."""
        stopped.edit(f"<source dir='{stopped.base}/data'/>", "<source dir='/'/>")
        assert stopped.start().status == 0


def test_under_smack_an_init_with_another_label_at_exec_is_refused(stopped: Container) -> None:
    with known(stopped) as start:
        start.model, start.labels = Smack, ("vs1", "vs1", "vs1")
        with pytest.MonkeyPatch.context() as patch:
            loaded: list[str] = []
            patch.setattr(rules, "load_rules", loaded.append)
            patch.setattr(Smack, "running", "/")
            patch.setattr(Smack, "attribute", "user.smack-test")
            patch.setattr(Smack, "exec_attribute", "user.smack-exec-test")
            os.setxattr(stopped.init, "user.smack-test", b"vs1")
            prepare(start)
            assert loaded == ["vs1"]
            os.setxattr(stopped.init, "user.smack-exec-test", b"_")
            with pytest.raises(Refused, match="exec-test"):
                prepare(start)


def test_a_label_that_the_kernel_does_not_take_is_noticed(stopped: Container) -> None:
    with known(stopped) as start, pytest.MonkeyPatch.context() as patch:
        patch.setattr(posix, "setxattr", lambda *_: None)
        with pytest.raises(Refused, match="did not take"):
            prepare(start)
