"""What a start relies on, on disk: looked at each time, and nobody else may have changed it."""

from __future__ import annotations

import os
import posix
from pathlib import Path

import pytest

from tests.unit.runtime.inits import (
    assert_refused,
    known,
)
from tests.unit.runtime.runtime_samples import Container
from virtsec.runtime import rules
from virtsec.runtime.judgement import prepare
from virtsec.runtime.refusal import Refused
from virtsec.runtime.start import Smack


class TestOrders:
    """What the controller does by itself is what the metadata says."""

    @pytest.fixture
    def orders(self, stopped: Container) -> Path:
        """The file, with what the metadata says."""
        wanted = f'<virtsec:limits files="300"/><virtsec:idmap source="{stopped.base}/data"/>'
        stopped.edit("<virtsec:root", f"{wanted}<virtsec:root")
        stopped.orders.write_text(
            f"files 300\nidmap {os.getuid()} {stopped.base}/data\nro {stopped.base}/data\n"
        )
        return stopped.orders

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
        assert stopped.start().status == 0
        stopped.orders.write_text(f"{stopped.orders.read_text()}files 300\n")
        assert_refused(stopped, "orders says")

    def test_what_is_read_only_is_made_so_before_the_container_has_it(
        self, stopped: Container
    ) -> None:
        stopped.orders.unlink()
        assert_refused(stopped, f"orders says '', not 'ro {stopped.base}/data")

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

    def test_a_mount_that_libvirt_could_look_for_inside_meets_no_link_either(
        self, stopped: Container
    ) -> None:
        """It does where the container's root, as which it looks, may not reach it on the host."""
        inside = stopped.root / f"{stopped.base}/data".lstrip("/")
        inside.parent.mkdir(parents=True)
        assert stopped.start().status == 0
        inside.symlink_to("/.oldroot/etc")
        assert_refused(stopped, "data has a link in it")

    def test_a_mount_leads_through_no_link_of_the_host(self, stopped: Container) -> None:
        (stopped.base / "data").rmdir()
        assert_refused(stopped, "is not there")
        (stopped.base / "data").symlink_to("/proc")
        assert_refused(stopped, "has a link in it")

    def test_the_hosts_whole_tree_may_be_shown_elsewhere(self, stopped: Container) -> None:
        """That is what the label is for: the demonstration's own attack starts from here."""
        stopped.edit(f"<source dir='{stopped.base}/data'/>", "<source dir='/'/>")
        stopped.orders.write_text("ro /\n")
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
