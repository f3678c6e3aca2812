"""The controller: what it lets through to libvirt_lxc, and with what it runs that."""

from __future__ import annotations

import errno
import json
import os
import posix
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.runtime.runtime_samples import installed, run
from virtsec.runtime import confine, seccomp, view
from virtsec.runtime.refusal import Refused
from virtsec.runtime.system import program as trusted_program

#: As libvirt 11.3 calls it.
ARGUMENTS = [
    *("--name", "vs1", "--console", "24", "--security=selinux", "--handshakefds", "25:28"),
    *("--veth", "vnet1"),
]
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop capabilities")

#: Stands in for libvirt_lxc: says how it was called.
STUB = """#!/usr/bin/python3 -IS
import json, os, sys
own = "/proc/self/fd"
open_now = [int(name) for name in os.listdir(own) if os.path.lexists(f"{own}/{name}")]
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
json.dump({
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "descriptors": sorted(open_now),
    "bounding": int(status["CapBnd"], 16),
    "permitted": int(status["CapPrm"], 16),
    "inheritable": int(status["CapInh"], 16),
    "filters": int(status["Seccomp_filters"]),
}, open(os.path.dirname(sys.argv[0]) + "/seen", "w"))
"""
#: Puts the filter on, then prints errno of each system call given by number, and the process's own
#: no_new_privs.
FILTERED = """
import ctypes, sys
from virtsec.runtime.seccomp import refuse_calls
refuse_calls()
libc = ctypes.CDLL(None, use_errno=True)
for number in map(int, sys.argv[1:]):
    ctypes.set_errno(0)
    libc.syscall(number, -1, 0, 0, 0, 0)
    print(ctypes.get_errno())
PR_GET_NO_NEW_PRIVS = 39
print(libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0))
"""
#: Numbers in linux/capability.h.
NUMBERS = {
    "mac_override": 32,
    "mac_admin": 33,
    "audit_read": 37,
    "perfmon": 38,
    "bpf": 39,
    "checkpoint_restore": 40,
}


class TestArguments:
    def test_libvirts_own_are_understood(self) -> None:
        options = confine.parse(ARGUMENTS)
        assert options["--name"] == ["vs1"]
        assert options["--security"] == ["selinux"]
        assert confine.named_descriptors(options) == {0, 1, 2, 24, 25, 28}

    def test_passed_descriptors_stay_open(self) -> None:
        options = confine.parse([*ARGUMENTS, "--passfd", "30", "--console", "31"])
        assert {24, 30, 31} <= confine.named_descriptors(options)

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--share-net", "30"],
            ["--share-ipc=30"],
            ["--share-uts", "30"],
            ["--share-n=30"],
            ["-N", "30"],
            ["-N30"],
            ["--nam", "vs2"],
            ["--name", "vs2"],
            ["--security=none"],
            ["--handshakefds", "1:2"],
            ["vs2"],
            ["--"],
            ["--background"],
            ["--help"],
        ],
        ids=" ".join,
    )
    def test_any_other_is_refused(self, arguments: list[str]) -> None:
        """getopt takes abbreviations, short forms and the last of several: none gets that far."""
        for placed in ([*ARGUMENTS, *arguments], [*arguments, *ARGUMENTS]):
            with pytest.raises(Refused):
                confine.named_descriptors(confine.parse(placed))

    @pytest.mark.parametrize("missing", ["--name", "--security=selinux", "--handshakefds"])
    def test_none_of_the_needed_may_be_missing(self, missing: str) -> None:
        place = ARGUMENTS.index(missing)
        width = 1 if "=" in missing else 2
        with pytest.raises(Refused):
            confine.parse(ARGUMENTS[:place] + ARGUMENTS[place + width :])

    @pytest.mark.parametrize("value", ["", "x", "-1", "1:", "1:x", " 3"])
    def test_a_descriptor_is_a_number(self, value: str) -> None:
        with pytest.raises(Refused):
            confine.named_descriptors(confine.parse([*ARGUMENTS, "--console", value]))


@given(st.lists(st.sampled_from([*ARGUMENTS, "--share-net", "--share-net=1", "", "-b", "--n"])))
def test_whatever_comes_in_no_namespace_is_shared(arguments: list[str]) -> None:
    try:
        options = confine.parse(arguments)
    except Refused:
        return
    assert set(options) == set(confine.VALUED)
    assert len(options["--name"]) == len(options["--security"]) == 1


@dataclass
class Ran:
    """What `execve` was called with."""

    path: str = ""
    command: list[str] = field(default_factory=list)
    environment: dict[bytes, bytes] = field(default_factory=dict)


@pytest.fixture
def become(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs `become_libvirt_lxc` up to execve, on a host with SELinux."""
    ran = Ran()

    def execve(path: str, command: list[str], environment: dict[bytes, bytes]) -> None:
        ran.path, ran.command, ran.environment = path, command, environment

    monkeypatch.setattr(posix, "execve", execve)
    monkeypatch.setattr(confine, "close_all_but", lambda _: None)
    monkeypatch.setattr(confine, "enter_slice", lambda _: None)  # tests/lab sees it done
    monkeypatch.setattr(confine, "keep_addresses", lambda *_: None)  # test_ethernet, and tests/lab
    monkeypatch.setattr(confine, "refuse_calls", lambda: None)  # not for the tests as well
    monkeypatch.setattr(confine, "SELINUX", "/")
    monkeypatch.setattr(confine, "program", lambda *paths: paths[0])

    def become(*arguments: str) -> Ran:
        confine.become_libvirt_lxc(list(arguments))
        return ran

    return become


class TestFilter:
    @NEEDS_ROOT
    @pytest.mark.skipif(os.uname().machine != "x86_64", reason="numbers of x86_64's system calls")
    def test_the_kernel_refuses_those_calls_and_no_other(self) -> None:
        refused = seccomp.REFUSED_CALLS[0xC000003E]
        keyctl, before, after, getpid = 250, 247, 251, 39
        numbers = [*refused[:-1], keyctl | 0x40000000, before, after, getpid]
        done = subprocess.run(
            [sys.executable, "-c", FILTERED, *map(str, numbers)],
            capture_output=True,
            check=True,
        )
        *codes, no_new_privs = map(int, done.stdout.split())
        assert codes[:-3] == [errno.EPERM] * len(refused)
        assert codes[-3:] == [errno.EINVAL, errno.EINVAL, 0]  # waitid, ioprio_set: asked nonsense
        assert no_new_privs == 0


class TestExecution:
    def test_libvirt_lxc_gets_libvirts_arguments(self, become: Callable[..., Ran]) -> None:
        ran = become(*ARGUMENTS)
        assert ran.path == "/usr/bin/setpriv"
        end = ran.command.index("--")
        assert ran.command[end + 1 :] == ["/usr/lib/libvirt/libvirt_lxc", *ARGUMENTS]

    def test_no_capability_that_libvirt_cannot_name_is_left(
        self, become: Callable[..., Ran]
    ) -> None:
        options = become(*ARGUMENTS).command[1:]
        assert "--bounding-set=-audit_read,-perfmon,-bpf,-checkpoint_restore,-mac_admin" in options
        assert "--inh-caps=-all" in options
        assert "--ambient-caps=-all" in options

    def test_mac_override_stays_for_libvirt_lxc(self) -> None:
        """It writes into directories labelled `_` under Smack; the XML takes it from init."""
        assert "mac_override" not in confine.DROPPED

    def test_only_libvirts_own_environment_goes_on(
        self, become: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        environment = {
            b"LD_PRELOAD": b"/tmp/x.so",
            b"PATH": b"/tmp",
            b"LIBVIRT_DEBUG": b"3",
            b"LIBVIRT_LOG_OUTPUTS": b"3:stderr",
            b"LIBVIRT_OTHER": b"x",
        }
        monkeypatch.setattr(posix, "environ", environment)
        assert become(*ARGUMENTS).environment == {
            b"PATH": b"/usr/sbin:/usr/bin:/sbin:/bin",
            b"LIBVIRT_DEBUG": b"3",
            b"LIBVIRT_LOG_OUTPUTS": b"3:stderr",
        }

    @pytest.mark.parametrize("mode", [0o775, 0o757])
    def test_a_program_that_others_can_change_is_not_run(self, mode: int, tmp_path: Path) -> None:
        program = tmp_path / "libvirt_lxc"
        program.write_bytes(b"")
        program.chmod(mode)
        with pytest.raises(Refused, match="others than root"):
            trusted_program(str(program))

    def test_what_is_no_file_is_not_run(self, tmp_path: Path) -> None:
        with pytest.raises(Refused):
            trusted_program(str(tmp_path))
        with pytest.raises(FileNotFoundError):
            trusted_program(str(tmp_path / "none"), str(tmp_path / "nowhere"))


class TestConfinement:
    """Which module runs on the host, and whether what libvirt says fits that."""

    @pytest.fixture
    def smack(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A file in the place of /proc/self/attr/smack/current, on a host that has Smack only."""
        current = tmp_path / "current"
        current.write_bytes(b"_")
        monkeypatch.setattr(confine, "SELINUX", "/nowhere")
        monkeypatch.setattr(confine, "SMACK", "/")
        monkeypatch.setattr(confine, "SMACK_LABEL", ("/nowhere", str(current)))
        return current

    @pytest.mark.parametrize("model", ["none", "smack"])
    def test_under_smack_it_takes_the_containers_label(self, model: str, smack: Path) -> None:
        confine.take_confinement("vs1", model)
        assert smack.read_bytes() == b"vs1"

    def test_a_label_that_was_not_taken_is_noticed(self, smack: Path) -> None:
        smack.write_bytes(b"system")
        with pytest.raises(Refused, match="'vs1tem'"):
            confine.take_confinement("vs1", "none")

    @pytest.mark.parametrize("name", ["", "_", "-vs1", "v s", "vs1/", "Vs1", "v" * 24, "vs1\n"])
    def test_a_name_that_smack_would_cut_is_refused(
        self, name: str, smack: Path, become: Callable[..., Ran]
    ) -> None:
        with pytest.raises(Refused, match="name is odd"):
            become("--name", name, "--security=none", "--handshakefds", "1:2")
        assert smack.read_bytes() == b"_"

    def test_a_kernel_that_refuses_the_label_ends_it(
        self, smack: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(confine, "SMACK_LABEL", ("/dev/full",))
        with pytest.raises(OSError, match="No space"):
            confine.take_confinement("vs1", "none")

    def test_the_label_is_taken_before_mac_admin_is_dropped(
        self, smack: Path, become: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Dropped before, it could not be; dropped later, tmpfs would be born as `_`."""
        monkeypatch.setattr(confine, "SELINUX", "/nowhere")
        labels: list[bytes] = []
        execve = posix.execve

        def note_label(path: str, command: list[str], environment: dict[bytes, bytes]) -> None:
            labels.append(smack.read_bytes())
            execve(path, command, environment)

        monkeypatch.setattr(posix, "execve", note_label)
        arguments = [word.replace("selinux", "none") for word in ARGUMENTS]
        assert any("-mac_admin" in word for word in become(*arguments).command)
        assert labels == [b"vs1"]

    def test_the_other_modules_driver_is_refused(
        self, smack: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(Refused, match="under Smack"):
            confine.take_confinement("vs1", "apparmor")
        monkeypatch.setattr(confine, "SELINUX", "/")
        for model in ("none", "apparmor", "", "smack"):
            with pytest.raises(Refused, match="under SELinux"):
                confine.take_confinement("vs1", model)
        assert smack.read_bytes() == b"_"

    def test_without_a_module_nothing_starts(
        self, smack: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(confine, "SMACK", "/nowhere")
        with pytest.raises(Refused, match="neither"):
            confine.take_confinement("vs1", "none")


class TestOrders:
    def test_without_any_nothing_is_done(self, tmp_path: Path) -> None:
        view.obey(str(tmp_path))

    def test_open_files_are_limited_for_all_that_comes(self, tmp_path: Path) -> None:
        (tmp_path / "orders").write_text("files 123\n")
        asks = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE))"
        script = (
            "import subprocess, sys; from virtsec.runtime.view import obey; "
            f"obey({str(tmp_path)!r}); subprocess.run([sys.executable, '-c', {asks!r}])"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        assert done.stdout == "(123, 123)\n"

    @pytest.mark.parametrize(
        "text", ["fils 3\n", "idmap 655360\n", "idmap x /srv\n", "\n", "files x\n"]
    )
    def test_what_is_no_order_starts_nothing(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "orders").write_text(text)
        with pytest.raises((Refused, ValueError)):
            view.obey(str(tmp_path))

    def test_a_mount_that_fails_starts_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(view, "MOUNT", "/bin/false")
        (tmp_path / "orders").write_text("idmap 655360 /srv/with a space\n")
        with pytest.raises(Refused, match="/srv/with a space cannot be mounted X-mount"):
            view.obey(str(tmp_path))


def own_filters() -> int:
    """How many seccomp filters the tests themselves run under."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("Seccomp_filters"))


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The controller on a host with SELinux, in front of the stub."""
    stub = tmp_path / "libvirt_lxc"
    stub.write_text(STUB)
    stub.chmod(0o755)
    exchanges = {
        '"/usr/lib/libvirt/libvirt_lxc"': repr(str(stub)),
        '"/sys/fs/selinux/enforce"': repr("/"),
        # These need libvirt's host; tests/lab sees them done.
        "    enter_slice(name)\n": "",
        '    keep_addresses(name, options["--veth"])\n': "",
    }
    return installed("controller.py", tmp_path, exchanges)


class TestProcess:
    """The program itself, from libvirt's call to libvirt_lxc's start."""

    @NEEDS_ROOT
    def test_what_libvirt_lxc_starts_with(self, program: Path) -> None:
        inherited = [os.open("/etc/passwd", os.O_RDONLY) for _ in range(4)]
        kept = inherited[1:3]
        for descriptor in inherited:
            os.set_inheritable(descriptor, True)
        arguments = ["--name", "vs1", "--console", str(kept[0]), "--security=selinux"]
        arguments += ["--handshakefds", f"{kept[0]}:{kept[1]}", "--veth", "vnet1"]
        done = subprocess.run(
            [sys.executable, "-IS", str(program), *arguments],
            close_fds=False,
            env={"LIBVIRT_DEBUG": "3", "LD_LIBRARY_PATH": "/tmp", "SECRET": "x"},
            capture_output=True,
            check=False,
        )
        for descriptor in inherited:
            os.close(descriptor)
        assert (done.returncode, done.stderr) == (0, b"")
        seen = json.loads((program.parent / "seen").read_text())
        assert seen["arguments"] == arguments
        assert seen["environment"].keys() - {"LC_CTYPE"} == {"PATH", "LIBVIRT_DEBUG"}
        assert seen["descriptors"] == sorted({0, 1, 2, *kept})
        for name in confine.DROPPED:
            assert not seen["bounding"] & 1 << NUMBERS[name], name
            assert not seen["permitted"] & 1 << NUMBERS[name], name
        assert seen["bounding"] & 1 << NUMBERS["mac_override"]
        assert seen["inheritable"] == 0
        assert seen["filters"] == own_filters() + 1

    @pytest.mark.parametrize(
        "arguments",
        [
            [],
            ["--name", "vs1"],
            [*ARGUMENTS, "--share-net", "3"],
            [word.replace("selinux", "none") for word in ARGUMENTS],
            [word.replace("24", "999") for word in ARGUMENTS],
            [word.replace("24", "9" * 400) for word in ARGUMENTS],
            [*ARGUMENTS, "\udcff"],
        ],
        ids=["none", "too few", "shared", "no driver", "closed", "huge", "bytes"],
    )
    def test_a_refusal_is_one_sentence(self, arguments: list[str], program: Path) -> None:
        ended = run(program, arguments)
        assert ended.status == 1
        assert ended.error.startswith("virtsec: the container is not started: ")
        assert ended.error.count("\n") == 1
        assert "Traceback" not in ended.error
        assert not (program.parent / "seen").exists()

    def test_if_a_capability_cannot_be_dropped_nothing_starts(
        self, program: Path, tmp_path: Path
    ) -> None:
        """setpriv knows no capability of this name, as an old one might not know a new one."""
        module = program.with_name("confine.py")
        module.write_text(module.read_text().replace('"perfmon":', '"perfmonster":'))
        arguments = [*ARGUMENTS[:2], "--security=selinux", "--handshakefds", "1:2"]
        ended = run(program, arguments)
        assert ended.status != 0
        assert not (tmp_path / "seen").exists()
