"""What the hook does on disk: the container wrote the tree, and nothing outside it ever changes."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.runtime.inits import (
    FILE,
    HOST,
    INIT,
    assert_refused,
    exchange_init,
    start_of,
    state,
)
from tests.unit.runtime.runtime_samples import ATTRIBUTE, Container, label_of
from virtsec.runtime import init
from virtsec.runtime.refusal import Refused


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
