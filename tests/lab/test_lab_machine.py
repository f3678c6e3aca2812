"""The laboratory itself: a test that is green in a guest that enforces nothing proves nothing."""

import os
import subprocess
from pathlib import Path

import pytest

import virtsec


def said(*argv: str) -> str:
    """Return what a command prints, without the newline."""
    return subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


@pytest.mark.selinux
def test_selinux_enforces() -> None:
    assert said("getenforce") == "Enforcing"
    assert Path("/sys/fs/selinux/enforce").read_text() == "1"


@pytest.mark.selinux
def test_tests_run_as_an_administrator_who_logged_in() -> None:
    assert said("id", "-Z") == "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023"


@pytest.mark.selinux
def test_every_file_has_a_label() -> None:
    """An image whose labels were lost would refuse everything, and attacks with it."""
    unlabelled = said(
        *("find", "/etc", "/usr/bin", "/usr/lib/systemd", "/var/lib", "-xdev"),
        *("-context", "*:unlabeled_t:*", "-print", "-quit"),
    )
    assert unlabelled == ""


@pytest.mark.smack
def test_smack_is_the_module_in_use() -> None:
    assert Path("/sys/fs/smackfs/load2").exists()
    assert not Path("/sys/fs/selinux/enforce").exists()
    assert Path("/proc/self/attr/current").read_text().rstrip("\0\n") == "_"


@pytest.mark.smack
def test_smack_refuses_what_no_rule_allows(tmp_path: Path) -> None:
    """A process with a label of its own and no capability may not write another label's file."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    secret.chmod(0o666)
    tmp_path.chmod(0o755)
    os.setxattr(secret, "security.SMACK64", b"lab-host")
    script = (
        f"echo lab-other >/proc/self/attr/current && exec capsh --drop=all -- -c 'cat {secret}'"
    )
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Permission denied" in done.stderr


def test_modules_are_what_the_kernel_says(lsm: str) -> None:
    assert lsm in Path("/sys/kernel/security/lsm").read_text().split(",")


def test_images_are_there() -> None:
    images = {path.name for path in Path("/srv/images").iterdir()}
    assert images >= {"debian.tar", "busybox.tar", "lab-hello.deb"}


def test_virtsec_is_the_installed_one() -> None:
    assert Path(virtsec.__file__).is_relative_to("/usr/local/lib")


def test_libvirt_serves_containers() -> None:
    assert said("virsh", "--connect", "lxc:///", "uri") == "lxc:///"


@pytest.mark.after_reset
@pytest.mark.once
def test_the_guest_was_started_again() -> None:
    assert os.environ["LAB_BOOT"] == "2"
