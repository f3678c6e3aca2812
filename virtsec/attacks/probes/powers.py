"""Capabilities: given up before init began, and not to be had again.

What can only be asked for by doing it is asked for with arguments that the kernel refuses after it
has asked for permission: nothing is loaded, set or stopped.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import subprocess
import tempfile
from pathlib import Path

from virtsec.attacks.probe import Group, NotApplicable, Targets, permitted
from virtsec.attacks.probes import calls
from virtsec.kernel.syscall import check, libc
from virtsec.kernel.userns import CLONE_NEWUSER, unshare
from virtsec.runtime.confinement import CAPABILITY_VERSION

GROUP = Group("capabilities", "Root inside has no power over the kernel, and gains none.")

_MODULE = 16  # CAP_SYS_MODULE, as linux/capability.h numbers it


@GROUP.probe("load-module", "load a module into the kernel", "init_module(2)")
def _module(targets: Targets) -> str:
    del targets
    return permitted(lambda: calls.call("init_module", b"none", 4, b""), errno.ENOEXEC)


@GROUP.probe("kexec", "have another kernel loaded", "kexec_load(2)")
def _kexec(targets: Targets) -> str:
    del targets
    return permitted(lambda: calls.call("kexec_load", 0, 0, None, 0xDEAD), errno.EINVAL)


@GROUP.probe("set-clock", "set the host's clock", "settimeofday(2)")
def _clock(targets: Targets) -> str:
    del targets
    nowhere = struct.pack("=ii", -99999, 0)  # so many minutes west of Greenwich
    return permitted(lambda: calls.call("settimeofday", None, nowhere), errno.EINVAL)


@GROUP.probe("swapon", "give the host swap of its own", "swapon(2)")
def _swap(targets: Targets) -> str:
    del targets
    return permitted(lambda: calls.call("swapon", b"/nowhere/at/all", 0), errno.ENOENT)


@GROUP.probe("accounting", "have every process of the host recorded", "acct(2)")
def _accounting(targets: Targets) -> str:
    del targets
    return permitted(lambda: calls.call("acct", b"/nowhere/at/all"), errno.ENOENT)


@GROUP.probe("kernel-log", "read the kernel's log", "syslog(2)")
def _log(targets: Targets) -> str:
    del targets
    calls.call("syslog", 3, ctypes.create_string_buffer(64), 64)
    return "read of it"


@GROUP.probe("bpf", "load a program into the kernel", "bpf(2)")
def _bpf(targets: Targets) -> str:
    del targets
    # BPF_MOV64_IMM(r0, 0); BPF_EXIT: a program for tracing, which is what sees the host.
    code = ctypes.create_string_buffer(struct.pack("=BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0))
    licence = ctypes.create_string_buffer(b"GPL")
    attributes = struct.pack(
        "=IIQQ", 5, 2, ctypes.addressof(code), ctypes.addressof(licence)
    ).ljust(120, b"\0")
    # EINVAL: permitted, but this kernel traces nothing.
    return permitted(lambda: os.close(calls.call("bpf", 5, attributes, 120)), errno.EINVAL)


@GROUP.probe("perf", "measure the whole host", "perf_event_open(2)")
def _perf(targets: Targets) -> str:
    del targets
    # PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK, of every process on processor 0
    attributes = struct.pack("=IIQ", 1, 112, 0).ljust(112, b"\0")
    os.close(calls.call("perf_event_open", attributes, -1, 0, -1, 0))
    return "opened a counter of every process"


@GROUP.probe("keyring", "add a key to a keyring of the host's root", "keyrings(7)")
def _key(targets: Targets) -> str:
    del targets
    calls.call("keyctl", 0, -4, 1, 0, 0)  # KEYCTL_GET_KEYRING_ID of the user's keyring, made anew
    return "has the keyring of the user"


@GROUP.probe("raise", "raise a capability that init gave up", "capabilities(7)")
def _raise(targets: Targets) -> str:
    del targets
    bit = 1 << _MODULE
    alone = struct.pack("=6I", bit, bit, 0, 0, 0, 0)
    check(libc.capset(struct.pack("=Ii", CAPABILITY_VERSION, 0), alone), "capset")
    return "has sys_module"


def _effective_of(program: str) -> int:
    """The effective capabilities that executing `program` gives, which tells them itself."""
    said = subprocess.run(
        [program, "CapEff", "/proc/self/status"], capture_output=True, check=True, env={}
    ).stdout
    return int(said.split()[1], 16)


@GROUP.probe("file-capability", "gain one from a program's file capabilities", "capabilities(7)")
def _file_capability(targets: Targets) -> str:
    del targets
    # VFS_CAP_REVISION_2 with the effective bit, sys_module permitted (linux/capability.h)
    grant = struct.pack("<5I", 0x02000001, 1 << _MODULE, 0, 0, 0)
    grep = next(filter(Path.exists, map(Path, ("/usr/bin/grep", "/bin/grep"))), None)
    if grep is None:
        raise NotApplicable("it has no grep to try it with")
    with tempfile.TemporaryDirectory(dir=calls.scratch()) as place:
        program = Path(place, "program")
        program.write_bytes(grep.read_bytes())
        program.chmod(0o755)
        os.setxattr(program, "security.capability", grant)
        if not _effective_of(str(program)) >> _MODULE & 1:
            raise OSError(errno.EPERM, "the program ran without it")
    return "has sys_module"


@GROUP.probe("user-namespace", "gain the powers of a new user namespace's root", "CVE-2022-0185")
def _namespace(targets: Targets) -> str:
    if targets.model == "smack":
        raise NotApplicable("Smack is not asked; outside of it its root has no power")
    unshare(CLONE_NEWUSER)
    return "is root of a user namespace of its own"
