"""What enters a container is confined as its init is, and brings nothing of the host's with it."""

import fcntl
import hashlib
import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from demo.containers import ALIKE, Container
from demo.shell import run, virtsec, wait_for

from virtsec.commands.entering import target
from virtsec.commands.host import open_host
from virtsec.enter import door
from virtsec.step import Silent

pytestmark = pytest.mark.once

FIELDS = (
    *("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"),
    *("NoNewPrivs", "Seccomp", "Seccomp_filters"),
)
FILES = ("attr/current", "uid_map", "gid_map", "setgroups", "cgroup", "limits", "oom_score_adj")

#: Looks at all that is new in /proc inside, and prints what it could get hold of.
SPY = r"""
$| = 1; my %old = map { $_ => 1 } grep { m{^\d} } map { s{^/proc/}{}r } glob '/proc/[0-9]*';
my $end = time + 600; print "ready\n";
while (time < $end && !-e '/root/spy-stop') {
  for my $dir (glob '/proc/[0-9]*') {
    my ($pid) = $dir =~ m{(\d+)$}; next if $old{$pid};
    my $exe = readlink "$dir/exe" // '';
    print "exe $exe\n" if $exe =~ /python|memfd/;
    for my $link ("$dir/cwd", "$dir/root", glob "$dir/fd/*") {
      my $to = readlink $link; my @of = stat $link;
      print "$link $to\n" if defined $to && $exe =~ /python|memfd/;
    }
    if ($exe =~ /python|memfd/) { print "mem\n" if open my $m, '+<', "$dir/mem" }
  }
}
print "over\n";
"""

#: The method of CVE-2019-5736: the program that enters is had executed once more, from inside.
EVIL = """#!/proc/self/exe
import os
status = os.stat("/proc/self/exe")
said = [os.readlink("/proc/self/exe"), str(status.st_dev), str(status.st_ino)]
held = os.open("/proc/self/exe", os.O_PATH)
for path in ("/proc/self/exe", "/proc/self/fd/%d" % held):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_TRUNC))
        said.append("written")
    except OSError as error:
        said.append(error.strerror)
print("\\n".join(said))
"""


@pytest.fixture(params=["vs1", "vs3"])
def container(request: pytest.FixtureRequest, vs1: Container, vs3: Container) -> Container:
    """The unprivileged one, and the privileged one."""
    return {"vs1": vs1, "vs3": vs3}[request.param]


@contextmanager
def entered(container: Container) -> Iterator[Path]:
    """/proc's directory of a process that `virtsec exec` runs in the container."""
    mark = f"86400.{uuid.uuid4().int % 10**9}"
    # Whoever calls may be scheduled otherwise than init is.
    command = ["nice", "-n", "7", "virtsec", "exec", container.name, "--", "sleep", mark]
    client = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    found: list[Path] = []

    def there() -> list[Path]:
        for each in Path("/proc").glob("[0-9]*"):
            try:
                if (each / "cmdline").read_bytes() == f"sleep\0{mark}\0".encode():
                    found.append(each)
            except OSError:  # gone meanwhile
                continue
        return found

    try:
        wait_for("the command inside", there)
        yield found[0]
    finally:
        client.terminate()
        client.wait()


def status_of(process: Path) -> dict[str, str]:
    """The fields of /proc/PID/status that are about confinement."""
    lines = (line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return {name: value.split("\0")[0].strip() for name, value in lines if name in FIELDS}


def test_it_equals_init_field_by_field(container: Container) -> None:
    init = Path(f"/proc/{container.init_pid()}")
    with entered(container) as process:
        assert status_of(process) == status_of(init)
        assert status_of(init).keys() == set(FIELDS)
        for name in FILES:
            assert (process / name).read_text() == (init / name).read_text(), name
        for asked in (partial(os.getpriority, os.PRIO_PROCESS), os.sched_getscheduler,
                      os.sched_getaffinity):  # fmt: skip
            assert asked(int(process.name)) == asked(int(init.name))
        kinds = sorted(each.name for each in (init / "ns").iterdir())
        assert len(kinds) == 10
        for kind in kinds:
            assert os.readlink(process / "ns" / kind) == os.readlink(init / "ns" / kind), kind
        assert (process / "root").samefile(init / "root")
        assert (process / "cwd").samefile(init / "root/root")


def test_nothing_of_the_hosts_is_open_in_it(container: Container) -> None:
    with entered(container) as process:
        open_now = {each.name: os.readlink(each) for each in (process / "fd").iterdir()}
        assert open_now.keys() == {"0", "1", "2"}
        assert all(link.startswith("pipe:") for link in open_now.values())
        assert (process / "exe").samefile(container.rootfs / "usr/bin/sleep")
        environment = (process / "environ").read_text().rstrip("\0").split("\0")
        names = {line.partition("=")[0] for line in environment}
        assert names == {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "container"}


def test_input_output_and_exit_status_pass_through(vs1: Container) -> None:
    script = "read line; echo out $line; echo err >&2; exit 3"
    done = virtsec("exec", vs1.name, "--", "sh", "-c", script, stdin="in\n", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out in\n", "err\n")
    killed = virtsec("exec", vs1.name, "--", "sh", "-c", "kill -9 $$", check=False)
    assert killed.returncode == 128 + signal.SIGKILL
    missing = virtsec("exec", vs1.name, "--", "no-such-program", check=False)
    assert missing.returncode == 127
    assert missing.stderr.strip() == "virtsec: cannot run no-such-program: there is no such program"


def test_its_streams_can_be_opened_again_by_name(vs1: Container) -> None:
    """As scripts do; a pipe of the host's could not be, under Smack."""
    script = "echo out >/dev/stdout; echo err >/dev/stderr; cat /dev/stdin"
    done = run("virtsec", "exec", vs1.name, "--", "sh", "-c", script, stdin="in\n")
    assert (done.stdout, done.stderr) == ("out\nin\n", "err\n")


def test_a_user_a_directory_and_variables_can_be_chosen(vs1: Container) -> None:
    options = ("--user", "www-data", "--workdir", "/var/www", "--env", "A=b c")
    script = "id -un; pwd; echo $A"
    done = virtsec("exec", *options, "vs1", "--", "sh", "-c", script)
    assert done.stdout == "www-data\n/var/www\nb c\n"
    for wrong in (("--user", "nobody-known"), ("--env", "=x")):
        refused = virtsec("exec", *wrong, vs1.name, "--", "true", check=False)
        assert refused.returncode in (1, 2)
        assert refused.stderr.startswith("error: ")


def test_a_terminal_inside_has_a_name_there_and_our_size(vs1: Container) -> None:
    inside = f"virtsec exec {vs1.name} -- sh -c 'tty; stty size; test -t 2 && echo is one'"
    done = run("script", "-qec", f"stty rows 33 cols 99; {inside}", "/dev/null")
    name, size, one = done.stdout.replace("\r", "").splitlines()
    assert name.startswith("/dev/pts/")
    assert (size, one) == ("33 99", "is one")


def test_a_shell_without_a_terminal_does_what_it_reads_and_ends(vs1: Container) -> None:
    done = virtsec("shell", vs1.name, stdin="echo $0 in $PWD; exit 3\n", check=False)
    assert (done.stdout, done.returncode) == ("-bash in /root\n", 3)


def test_a_terminal_inside_reads_the_end_of_what_is_no_terminal(vs1: Container) -> None:
    done = virtsec("exec", "--tty", vs1.name, "--", "bash", "--login", timeout=120)
    assert done.returncode == 0


def test_signals_are_passed_on(vs1: Container) -> None:
    script = "trap 'echo got it; exit 9' TERM; echo ready; while :; do sleep 0.1; done"
    command = ["virtsec", "exec", vs1.name, "--", "sh", "-c", script]
    client = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert client.stdout is not None
    assert client.stdout.readline() == "ready\n"
    client.terminate()
    assert client.stdout.read() == "got it\n"
    assert client.wait() == 9


def test_the_program_that_enters_is_a_copy_that_nobody_can_change(container: Container) -> None:
    """What waits outside for the command is what entered, up to the exec."""
    with entered(container) as process:
        status = (process / "status").read_text()
        parent = next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:"))
        program = Path("/proc", parent, "exe")
        assert os.readlink(program).startswith("/memfd:")
        with program.open("rb") as file:
            seals = fcntl.fcntl(file, fcntl.F_GET_SEALS)
        assert seals == (
            fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        )


def test_the_program_that_enters_cannot_be_had_from_inside(container: Container) -> None:
    evil = container.rootfs / "root/evil"
    python = Path(os.path.realpath("/usr/bin/python3"))
    before = hashlib.sha256(python.read_bytes()).hexdigest()
    container.ssh("cat >/root/evil; chmod 755 /root/evil", stdin=EVIL)
    done = run("virtsec", "exec", container.name, "--", "/root/evil", check=False)
    evil.unlink()
    assert hashlib.sha256(python.read_bytes()).hexdigest() == before
    if done.returncode != 0:  # the copy may not be executed, or finds no library of Python's there
        assert done.stdout == ""
        return
    link, device, inode, *tried = done.stdout.splitlines()
    assert link.startswith("/memfd:")
    status = python.stat()
    assert (int(device), int(inode)) != (status.st_dev, status.st_ino)
    assert len(tried) == 2
    assert "written" not in tried


def test_no_descriptor_or_directory_of_the_host_is_to_be_had(container: Container) -> None:
    """The method of CVE-2024-21626: a working directory by a descriptor that leads out."""
    options = ("--workdir", "/etc/ssh")
    assert virtsec("exec", *options, container.name, "--", "cat", "../hostname").stdout != ""
    for number in range(3, 12):
        options = ("--workdir", f"/proc/self/fd/{number}")
        inside = ("sh", "-c", "cat ../../../../../etc/hostname")
        done = virtsec("exec", *options, container.name, "--", *inside, check=False)
        assert done.returncode != 0, number
        assert done.stdout == ""


@pytest.mark.stress
def test_who_watches_inside_sees_nothing_of_what_enters(container: Container) -> None:
    container.ssh("cat >/root/spy.pl; rm -f /root/spy-stop", stdin=SPY)
    command = ["virtsec", "exec", container.name, "--", "perl", "/root/spy.pl"]
    spy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert spy.stdout is not None
    assert spy.stdout.readline() == "ready\n"
    for _ in range(5):
        virtsec("exec", container.name, "--", "true")
    container.ssh("touch /root/spy-stop")
    said, _ = spy.communicate()
    assert said == "over\n"


class TestCopies:
    """Both ways through the same door: paths inside are found inside."""

    def test_files_and_directories_go_in_and_come_out_whole(
        self, vs1: Container, tmp_path: Path
    ) -> None:
        content = os.urandom(3 << 20)
        (tmp_path / "tree/sub").mkdir(parents=True)
        (tmp_path / "tree/sub/file").write_bytes(content)
        (tmp_path / "tree/link").symlink_to("sub/file")
        virtsec("cp", str(tmp_path / "tree"), f"{vs1.name}:/srv")
        digest = hashlib.sha256(content).hexdigest()
        assert vs1.ssh("sha256sum </srv/tree/link").stdout.split()[0] == digest
        owner = vs1.ssh("stat -c %u:%g /srv/tree/sub/file").stdout.strip()
        assert owner == "0:0"
        virtsec("cp", f"{vs1.name}:/srv/tree", str(tmp_path / "back"))
        assert (tmp_path / "back/sub/file").read_bytes() == content
        assert (tmp_path / "back/link").readlink() == Path("sub/file")
        vs1.ssh("rm -r /srv/tree")

    def test_links_inside_lead_nowhere_but_inside(
        self, container: Container, tmp_path: Path
    ) -> None:
        container.ssh("ln -sfn /etc /root/away; echo inside >/etc/copy-canary")
        canary = Path("/etc/copy-canary")
        canary.write_text("of the host\n")
        virtsec("cp", f"{container.name}:/root/away/copy-canary", str(tmp_path / "got"))
        assert (tmp_path / "got").read_text() == "inside\n"
        (tmp_path / "new").write_text("from outside\n")
        virtsec("cp", str(tmp_path / "new"), f"{container.name}:/root/away/copy-canary")
        assert container.ssh("cat /etc/copy-canary").stdout == "from outside\n"
        assert canary.read_text() == "of the host\n"
        canary.unlink()

    def test_who_copies_inside_has_no_more_rights_there(
        self, container: Container, tmp_path: Path
    ) -> None:
        secret = f"{container.name}:/etc/shadow"
        refused = virtsec("cp", "--user", "www-data", secret, str(tmp_path), check=False)
        assert refused.returncode == 1
        assert "Permission denied" in refused.stderr
        assert list(tmp_path.iterdir()) == []


class TestLogs:
    """A journal is read from outside, and is data whatever it holds."""

    def test_what_is_logged_inside_is_shown_outside(self, vs1: Container) -> None:
        mark = uuid.uuid4().hex
        vs1.ssh(f"logger -t lab {mark}; printf '%b' '{mark} \\033[31mred' | logger -t lab")
        vs1.ssh("journalctl --sync")
        said = virtsec("logs", vs1.name, "--lines", "200", "--output", "cat").stdout
        assert f"{mark}\n" in said
        assert f"{mark} \\x1b[31mred\n" in said
        assert "\x1b" not in said

    def test_of_one_unit_only(self, vs1: Container) -> None:
        said = virtsec("logs", vs1.name, "--unit", "ssh.service", "--lines", "5").stdout
        assert "sshd" in said
        assert len(said.splitlines()) <= 5


@pytest.fixture(scope="module")
def hostile() -> Iterator[Container]:
    """A small container whose root does what it likes. As all it is undefined at the end."""
    container = Container("hostile")
    virtsec("define", container.name, "--from", "/srv/images/busybox.tar", *ALIKE)
    virtsec("start", container.name)
    yield container
    container.stop()


HOSTILE = {
    "a fifo for passwd": "rm -f /etc/passwd; mkfifo /etc/passwd",
    "a link for passwd": "rm -f /etc/passwd; ln -s /proc/1/mem /etc/passwd",
    "an endless passwd": "rm -f /etc/passwd; ln -s /dev/zero /etc/passwd",
    "a fifo for the terminals": "umount /dev/ptmx; rm -f /dev/ptmx; mkfifo /dev/ptmx",
    "another /proc": "mount -t tmpfs none /proc",
    "no shell": "rm -f /bin/sh; ln -s /proc/self/exe /bin/sh",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_container_gains_nothing(what: str, hostile: Container) -> None:
    canary = Path("/root/exec-canary")
    canary.write_text("as it was\n")
    breaks = ("/bin/busybox", "sh", "-c", f"{{ {HOSTILE[what]}; }} && echo broken")
    assert virtsec("exec", hostile.name, "--", *breaks).stdout == "broken\n"
    for options in ((), ("-t",)):
        # Nothing that looks at what is broken itself.
        inside = ("/bin/busybox", "echo", "alive")
        words = ("exec", *options, hostile.name, "--", *inside)
        done = virtsec(*words, check=False, timeout=300)
        if done.returncode == 0:
            assert done.stdout.strip() == "alive"
        else:
            assert done.stderr.startswith("error: The command was not run: its /dev/ptmx makes no ")
            assert len(done.stderr.splitlines()) == 1
    assert canary.read_text() == "as it was\n"
    canary.unlink()


@pytest.mark.stress
def test_a_hundred_at_once_each_get_their_own_answer(vs1: Container) -> None:
    """By the library: a hundred command lines at once would be Python starting, mostly."""

    inside = target(vs1.name, open_host(Silent()))
    words = [str(number) for number in range(100)]

    def ask(word: str) -> door.Completed:
        return door.run(inside, door.Command(["sh", "-c", "cat; exit 5"]), word.encode())

    with ThreadPoolExecutor(max_workers=100) as pool:
        answers = list(pool.map(ask, words))
    assert [each.output.decode() for each in answers] == words
    assert {each.status for each in answers} == {5}
    assert {each.errors for each in answers} == {b""}


def test_where_nothing_runs_one_sentence_says_so(hostile: Container) -> None:
    """The last of the small container: a hostile one may not have come through."""
    hostile.stop()
    for name, status in ((hostile.name, 1), ("nobody-known", 2)):
        refused = virtsec("exec", name, "--", "true", check=False)
        assert refused.returncode == status
        assert refused.stderr.startswith("error: ")
        assert len(refused.stderr.splitlines()) == 2
