"""Which of the host's files are labelled, and that no others are."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

import pytest

from virtsec.errors import BadInput
from virtsec.mac.smack import hostfiles, policy
from virtsec.mac.smack.hostfiles import parse

LABEL, HANDS_DOWN = "user.smack", "user.smack-transmute"


@pytest.fixture(autouse=True)
def unprivileged_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostfiles, "ATTRIBUTE", LABEL)
    monkeypatch.setattr(hostfiles, "TRANSMUTE", HANDS_DOWN)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    for path in ("etc/shadow", "etc/passwd", "root/.ssh/id", "etc/ssh/ssh_host_rsa_key"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x")
    (tmp_path / "etc/ssh/ssh_host_rsa_key.pub").write_text("x")
    return tmp_path


def labelled(root: Path) -> dict[str, str]:
    """Labels by path, of what has one; directories that hand theirs down end in a slash."""
    found = {}
    for path in sorted(root.rglob("*")):
        names = os.listxattr(path, follow_symlinks=False)
        if LABEL in names:
            slash = "/" if HANDS_DOWN in names else ""
            found[str(path.relative_to(root)) + slash] = os.getxattr(
                path, LABEL, follow_symlinks=False
            ).decode()
    return found


ENTRIES = parse("/etc/shadow hashes\n/root/ keys\n/etc/ssh/ssh_host_*_key keys\n", "test")


def test_what_is_listed_is_labelled_and_nothing_else(host: Path) -> None:
    hostfiles.protect(ENTRIES, host)
    assert labelled(host) == dict.fromkeys(
        ("etc/shadow", "etc/ssh/ssh_host_rsa_key", "root/", "root/.ssh/", "root/.ssh/id"), "host"
    )


def test_it_can_be_seen_whether_something_was_replaced(host: Path) -> None:
    assert hostfiles.unlabelled(ENTRIES, host)
    hostfiles.protect(ENTRIES, host)
    assert not hostfiles.unlabelled(ENTRIES, host)
    (host / "etc/shadow.new").write_text("y")
    (host / "etc/shadow.new").rename(host / "etc/shadow")
    assert hostfiles.unlabelled(ENTRIES, host)


def test_a_link_leads_to_no_other_file(host: Path) -> None:
    (host / "root/link").symlink_to("../etc/passwd")
    (host / "root/all").symlink_to("../etc")
    (host / "etc/shadow").unlink()
    (host / "etc/shadow").symlink_to("passwd")
    hostfiles.protect(ENTRIES, host)
    assert "etc/passwd" not in labelled(host)
    assert not any(path.startswith("etc/sh") for path in labelled(host))


def test_a_container_beneath_a_listed_directory_keeps_its_label(host: Path) -> None:
    tree = host / "root/vs1"
    tree.mkdir()
    os.setxattr(tree, LABEL, b"vs1")
    hostfiles.protect(ENTRIES, host)
    assert labelled(host)["root/vs1"] == "vs1"
    hostfiles.expose(ENTRIES, host)
    assert labelled(host) == {"root/vs1": "vs1"}


def test_everything_is_put_back(host: Path) -> None:
    hostfiles.protect(ENTRIES, host)
    (host / "etc/shadow").rename(host / "etc/shadow-")
    hostfiles.expose([*ENTRIES, *parse("/etc/shadow- x", "test")], host)
    assert labelled(host) == {}


@pytest.mark.parametrize(
    "line", ["etc/shadow x", "/ everything", "/etc/*/key x", "/a/../b x", "// x", "/a//b x"]
)
def test_a_line_that_names_no_path_is_refused(line: str) -> None:
    with pytest.raises(BadInput, match="Line 1 of test"):
        parse(line, "test")


def test_every_default_has_its_reason() -> None:
    entries = parse(policy.text("host-files.conf"), "host-files.conf")
    assert [entry.line for entry in entries if not entry.reason] == []
    assert {"/etc/shadow", "/root/", "/boot/"} <= {entry.line for entry in entries}


def test_containers_can_still_be_reached_beneath_what_is_listed_by_default() -> None:
    """Their roots and libvirt's mount points are walked to by a process without override."""
    needed = ("/var/lib/virtsec", "/var/lib/libvirt", "/run/libvirt", "/usr", "/var", "/srv")
    for entry in parse(policy.text("host-files.conf"), "host-files.conf"):
        assert [each for each in needed if PurePath(each).is_relative_to(entry.pattern)] == []


@pytest.mark.parametrize(
    "name", ["sda1", "vdb", "nvme0n1", "dm-0", "sr0", "nbd0", "pmem0", "bcache0", "zram0", "sg0"]
)
def test_what_udev_labels_of_disks_is_labelled_by_setup_and_given_back_by_its_removal(
    name: str,
) -> None:
    entries = parse(policy.text("host-files.conf"), "host-files.conf")
    assert any(PurePath(f"/dev/{name}").match(entry.pattern) for entry in entries)
