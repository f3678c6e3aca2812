"""What the door takes from a container's own files, which its root may have written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from virtsec.runtime import user
from virtsec.runtime.command import environment_of
from virtsec.runtime.confinement import to_enter
from virtsec.runtime.order import Failed, Order

PASSWD = """root:x:0:0:root:/root:/bin/bash
web:x:33:34:the web:/var/www:/usr/sbin/nologin
bad:x:none:0::/:/bin/sh
short:x:1
"""
GROUP = "adm:x:4:root,web\nweb:x:34:\nodd:x:nine:web\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """passwd and group of a container; the door finds them there."""
    (tmp_path / "passwd").write_text(PASSWD)
    (tmp_path / "group").write_text(GROUP)
    table = user.table
    moved = lambda path, fields: table(str(tmp_path / Path(path).name), fields)  # noqa: E731
    monkeypatch.setattr(user, "table", moved)
    return tmp_path


@pytest.mark.parametrize("wanted", ["web", "33"])
def test_a_user_is_known_by_name_or_number(wanted: str, files: Path) -> None:
    del files
    assert user.find_user(wanted) == user.User(33, 34, (4,), "web", "/var/www", "/usr/sbin/nologin")


def test_a_group_may_be_given_besides(files: Path) -> None:
    del files
    assert user.find_user("33:7").gid == 7
    assert user.find_user("1234:7") == user.User(1234, 7, (), "1234", "/", "/bin/sh")


@pytest.mark.parametrize("wanted", ["nobody", "bad", "short", "", "-1", "0x1"])
def test_one_that_is_not_known_is_refused(wanted: str, files: Path) -> None:
    del files
    with pytest.raises(Failed):
        user.find_user(wanted)


@pytest.mark.parametrize("kind", ["missing", "fifo", "directory", "link to nowhere", "rubbish"])
def test_root_is_root_whatever_passwd_is(kind: str, files: Path) -> None:
    passwd = files / "passwd"
    passwd.unlink()
    if kind == "fifo":
        os.mkfifo(passwd)
    elif kind == "directory":
        passwd.mkdir()
    elif kind == "link to nowhere":
        passwd.symlink_to("/nowhere")
    elif kind == "rubbish":
        passwd.write_bytes(os.urandom(5000))
    assert user.find_user("root") == user.User(0, 0, (), "root", "/root", "/bin/sh")


def test_a_passwd_without_end_is_read_no_further_than_a_megabyte(tmp_path: Path) -> None:
    with (tmp_path / "passwd").open("wb") as file:
        file.truncate(1 << 40)
    assert user.table(str(tmp_path / "passwd"), 7) == []


def test_a_process_of_the_host_is_no_container() -> None:
    with pytest.raises(Failed, match="shares namespaces with the host"):
        to_enter(os.getpid())


def test_environment_is_a_logins_with_what_was_asked_for() -> None:
    order = Order(1, 1, "smack", "vs1", (), "web", None, {"PATH": "/x", "A": "b"}, None)
    web = user.User(33, 34, (), "web", "/var/www", "/bin/sh")
    assert environment_of(web, order) == {
        "PATH": "/x",
        "A": "b",
        "HOME": "/var/www",
        "USER": "web",
        "LOGNAME": "web",
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "container": "lxc-libvirt",
    }
