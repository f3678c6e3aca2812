"""The article's holes under Smack, each closed, and each open again without what closes it."""

import gzip
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from demo.containers import KEY, Container
from demo.shell import run, virtsec, wait_for
from rules import rule

from virtsec.mac.detect import detect

pytestmark = pytest.mark.smack

QUERY = Path("/sys/fs/smackfs/access2")
ATTRIBUTES = ("SMACK64", "SMACK64EXEC", "SMACK64MMAP", "SMACK64TRANSMUTE")
FILE_LABEL = "security.SMACK64"

#: Sets an attribute of a file, or of a new socket where no path is given: setxattr, fsetxattr.
SETTER = """use Socket; my ($name, $value, $path) = @ARGV;
if ($path) { exit(syscall(188, $path, $name, $value, length($value), 0) != 0) }
socket(my $s, AF_INET, SOCK_STREAM, 0) or exit 9;
exit(syscall(190, fileno($s), $name, $value, length($value), 0) != 0)
"""


@contextmanager
def host_task_in(container: Container, owner: int) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A task of the host, labelled `_`, in the container's pid namespace; and its number there.

    It belongs to root inside, so that neither namespace nor user keeps a signal from it.
    """
    task = subprocess.Popen(
        [
            *("nsenter", f"--target={container.init_pid()}", "--pid", "--"),
            *("setpriv", f"--reuid={owner}", f"--regid={owner}", "--clear-groups"),
            *("sleep", "1d"),
        ]
    )
    try:
        children = Path(f"/proc/{task.pid}/task/{task.pid}/children")
        wait_for("the task", lambda: children.read_text().strip() and "sleep" in names(children))
        pid = int(children.read_text())
        assert Path(f"/proc/{pid}/attr/current").read_text().rstrip("\0\n") == "_"
        status = Path(f"/proc/{pid}/status").read_text()
        inside = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[-1]
        yield task, int(inside)
    finally:
        for child in children.read_text().split() if task.poll() is None else []:
            run("kill", "-9", child, check=False)
        task.wait()


def names(children: Path) -> str:
    """The command names of the processes listed in a `children` file."""
    return " ".join(Path(f"/proc/{pid}/comm").read_text() for pid in children.read_text().split())


def test_it_is_found_where_selinux_is_compiled_in_as_well() -> None:
    config = gzip.decompress(Path("/proc/config.gz").read_bytes()).decode()
    for module in ("SMACK", "SELINUX"):
        assert f"CONFIG_SECURITY_{module}=y\n" in config
    assert detect().model == "smack"


@pytest.mark.parametrize("name", ["vs1", "vs3"])
def test_a_task_of_the_host_gets_no_signal_even_where_no_namespace_is_between(
    name: str, vs1: Container, vs3: Container
) -> None:
    container = {"vs1": vs1, "vs3": vs3}[name]
    owner = Path(f"/proc/{container.init_pid()}").stat().st_uid
    with host_task_in(container, owner) as (task, pid):
        sent = {signal: f"kill -{signal} {pid}" for signal in ("KILL", "TERM", "STOP", "HUP")}
        assert "0" not in tried(container, sent).values()
        container.ssh("kill -9 -1", check=False)
        assert task.poll() is None, "kill -9 -1 reached it"
        wait_for(f"ssh to {name}", lambda: container.ssh("true", check=False).returncode == 0)
        with rule(f"{name} _ w"):  # the article's
            container.ssh(f"kill -KILL {pid}")
            wait_for("the task to die", lambda: task.poll() is not None)
    container.stop()
    container.start()


def tried(container: Container, commands: dict[str, str]) -> dict[str, str]:
    """What became of commands run by root inside: by their ids the exit status, or `says` echoed.

    All in one login, and `set ATTRIBUTE VALUE [PATH]` sets an attribute.
    """
    setter = f"cat >/root/setter.pl <<'END'\n{SETTER}END\n"
    lines = [
        f"( {command} ) >/dev/null 2>&1; echo '{each}' $?" for each, command in commands.items()
    ]
    script = setter + 'set_() { perl /root/setter.pl "$@"; }\n' + "\n".join(lines)
    said = container.ssh("sh -s", stdin=script, check=False).stdout
    found = dict(line.rsplit(" ", 1) for line in said.splitlines())
    assert found.keys() == commands.keys(), said
    return found


@pytest.mark.parametrize("name", ["vs1", "vs3"])
def test_root_inside_changes_no_label_of_a_process(
    name: str, vs1: Container, vs3: Container
) -> None:
    container = {"vs1": vs1, "vs3": vs3}[name]
    files = ("current", "exec", "fscreate", "sockcreate", "smack/current")
    attempts = {
        f"{file} {label}": f"sh -c 'echo -n {label} >/proc/self/attr/{file}'"
        for file in files
        for label in ("_", "host", "vs2", "net", "mine")
    }
    assert "0" not in tried(container, attempts).values()
    assert run("sh", "-c", attempts["current host"], check=False).returncode == 0  # the host's root
    assert tried(container, {"read": "cat /proc/self/attr/current"}) == {"read": "0"}


@pytest.mark.parametrize("name", ["vs1", "vs3"])
def test_root_inside_changes_no_label_of_a_file(name: str, vs1: Container, vs3: Container) -> None:
    container = {"vs1": vs1, "vs3": vs3}[name]
    control = {"own": "touch /root/labelled && set_ user.test _ /root/labelled"}
    assert tried(container, control) == {"own": "0"}
    attempts = {
        f"{attribute} {label}": f"set_ security.{attribute} '{label}' /root/labelled"
        for attribute in ATTRIBUTES
        for label in ("_", "*", "host", "vs2", "TRUE", name)
    }
    assert set(tried(container, attempts).values()) == {"1"}
    assert own_label(container.rootfs / "root/labelled") == name


@pytest.mark.parametrize("name", ["vs1", "vs3"])
def test_root_inside_changes_no_label_of_a_socket(
    name: str, vs1: Container, vs3: Container
) -> None:
    container = {"vs1": vs1, "vs3": vs3}[name]
    attempts = {
        f"{attribute} {label}": f"set_ security.{attribute} '{label}'"
        for attribute in ("SMACK64IPIN", "SMACK64IPOUT")
        for label in ("_", "@", "*", "net", "vs2", name)
    }
    assert set(tried(container, attempts).values()) == {"1"}


@pytest.mark.parametrize("name", ["vs1", "vs3"])
def test_smackfs_is_not_to_be_had_inside(name: str, vs1: Container, vs3: Container) -> None:
    container = {"vs1": vs1, "vs3": vs3}[name]
    assert container.ssh("ls -d /sys/fs/smackfs/load2", check=False).returncode != 0
    control = {"other": "mkdir -p /tmp/s && mount -t tmpfs none /tmp/s && umount /tmp/s"}
    assert tried(container, control) == {"other": "0"}
    opening = f"{name} _ w"
    mounted = f"mkdir -p /tmp/s && mount -t smackfs none /tmp/s && echo '{opening}' >/tmp/s/load2"
    container.ssh(mounted, check=False)
    container.ssh(f"echo {name} >/tmp/s/relabel-self; umount /tmp/s", check=False)
    assert not allowed(opening)


@pytest.mark.parametrize("name", ["vs1", "vs3"])
def test_a_user_namespace_made_inside_regains_nothing(
    name: str, vs1: Container, vs3: Container
) -> None:
    container = {"vs1": vs1, "vs3": vs3}[name]
    tries = {
        "current": "echo -n _ >/proc/self/attr/current",
        "file": f"perl /root/setter.pl {FILE_LABEL} _ /root/labelled",
        "smackfs": "mount -t smackfs none /tmp",
    }
    made = {"itself": "unshare --user --map-root-user true"}
    assert tried(container, {"file": "rm -f /root/labelled; touch /root/labelled", **made}) == {
        "file": "0",
        "itself": "0",
    }
    inside = {k: f"unshare --user --map-root-user sh -c '{each}'" for k, each in tries.items()}
    assert "0" not in tried(container, inside).values()
    assert own_label(container.rootfs / "root/labelled") == name


@pytest.mark.parametrize("name", ["vs1", "vs3"])
def test_what_the_hosts_root_labelled_host_is_not_even_read(
    name: str, vs1: Container, vs3: Container
) -> None:
    container = {"vs1": vs1, "vs3": vs3}[name]
    for path in ("/etc/passwd", "/boot", "/var/log", "/etc/virtsec", "/etc/smack", "/etc/libvirt"):
        assert container.ssh(f"cat /mnt{path}; ls /mnt{path}", check=False).stdout == ""
    assert container.ssh("cat /mnt/usr/lib/os-release").stdout  # nothing secret: it has no label


def test_every_file_of_a_container_has_its_label_and_none_another(vs1: Container) -> None:
    found = run("getfattr", "-R", "-P", "-h", "-m", "SMACK64", "-d", str(vs1.rootfs)).stdout
    labels = {line.partition("=")[2].strip('"') for line in found.splitlines() if "64=" in line}
    assert labels == {"vs1"}
    assert "SMACK64EXEC" not in found
    assert "SMACK64TRANSMUTE" in found


def own_label(path: Path) -> str:
    """A file's label; one without has its file system's."""
    return os.getxattr(path, FILE_LABEL, follow_symlinks=False).decode()


def allowed(query: str) -> bool:
    """What the kernel says to a query."""
    with QUERY.open("r+b", buffering=0) as file:
        file.write(query.encode())
        return file.read(1) == b"1"


class TestHost:
    """With the whole default list labelled the host goes on, and what it replaces keeps `host`."""

    def test_passwords_users_and_keys_are_replaced_and_stay_labelled(self) -> None:
        run("chpasswd", stdin="root:another\n")
        run("adduser", "--disabled-password", "--gecos", "", "someone")
        for key in Path("/etc/ssh").glob("ssh_host_*"):
            key.unlink()
        run("ssh-keygen", "-A")
        changed = ["/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/passwd", "/etc/subuid"]
        for path in [*map(Path, changed), *Path("/etc/ssh").glob("ssh_host_*_key")]:
            assert own_label(path) == "host", path
        assert virtsec("protect", "--check").returncode == 0

    def test_what_the_administrator_lists_is_labelled_for_as_long_as_it_is(self) -> None:
        listed, secret = Path("/etc/virtsec/host-files.conf"), Path("/srv/secret")
        key = secret / "key"
        secret.mkdir()
        key.write_text("the administrator's\n")
        listed.write_text(f"{secret}/ mine\n")
        virtsec("protect")
        assert own_label(secret) == own_label(key) == "host"
        listed.unlink()
        virtsec("protect")
        assert own_label(secret) == own_label(key) == "_"
        run("rm", "-r", str(secret))

    def test_a_package_upgrade_replaces_files_that_stay_labelled(self, tmp_path: Path) -> None:
        for version in ("1", "2"):
            tree = tmp_path / version
            (tree / "DEBIAN").mkdir(parents=True)
            (tree / "etc").mkdir()
            (tree / "etc/lab-key").write_text(f"secret {version}\n")
            (tree / "DEBIAN/control").write_text(
                f"Package: lab-key\nVersion: {version}\nArchitecture: all\n"
                "Maintainer: nobody <nobody@example.org>\nDescription: a key\n"
            )
            run("dpkg-deb", "--root-owner-group", "--build", str(tree), f"{tree}.deb")
            run("apt-get", "install", "--yes", f"{tree}.deb")
            assert Path("/etc/lab-key").read_text() == f"secret {version}\n"
            assert own_label(Path("/etc/lab-key")) == "host"

    def test_a_file_moved_there_from_elsewhere_is_labelled_within_a_moment(
        self, tmp_path: Path
    ) -> None:
        moved = tmp_path / "shadow-"
        moved.write_bytes(Path("/etc/shadow-").read_bytes())
        moved.chmod(0o600)
        assert own_label(moved) == "_"
        run("mv", str(moved), "/etc/shadow-")
        wait_for("the label", lambda: own_label(Path("/etc/shadow-")) == "host", attempts=30)

    def test_the_host_logs_in_and_runs_jobs(self) -> None:
        authorized = Path("/root/.ssh/authorized_keys")
        authorized.write_text(KEY.with_suffix(".pub").read_text())
        authorized.chmod(0o600)
        run("systemctl", "restart", "ssh")
        door = ("ssh", "-q", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
        assert run(*door, "-i", str(KEY), "root@127.0.0.1", "id", "-u").stdout == "0\n"
        assert run("su", "-", "someone", "-c", "id -un").stdout == "someone\n"
        job, ran = Path("/etc/cron.d/lab"), Path("/var/tmp/cron-ran")
        job.write_text(f"* * * * * root touch {ran}\n")
        wait_for("cron", ran.exists, attempts=150)
        job.unlink()

    @pytest.mark.after_reset
    def test_no_daemon_of_the_host_was_refused_anything(self) -> None:
        """In the whole run, both boots: what is refused are attacks, and those come from inside."""
        # ausearch does not understand Smack's records.
        logs = [path.read_text() for path in Path("/var/log/audit").glob("audit.log*")]
        lines = "".join(logs).splitlines()
        denials = [line for line in lines if "lsm=SMACK" in line and "action=denied" in line]
        assert denials, "attacks were refused, so there must be records"
        assert [line for line in denials if 'subject="_"' in line] == []
