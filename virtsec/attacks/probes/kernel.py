"""What the kernel lets root change of the whole host, through files that leaked.

Each is opened for writing, or for reading where that tells too much, and closed again: the kernel
asks for permission then. The host's own /proc and /sys are used, which no mount makes read-only;
and, of what gives the host away whole, the same files where the container mounts them itself.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from virtsec.attacks.probe import Group, NotApplicable, Position, Targets
from virtsec.attacks.probes import calls

GROUP = Group("kernel", "A container sets nothing of the kernel's that others share.")

_WRITE, _READ = os.O_WRONLY, os.O_RDONLY


def _opened(root: str, path: str, flags: int) -> Callable[[Targets], str]:
    def attack(targets: Targets) -> str:
        _open(path, flags, getattr(targets, root))
        return "opened it for writing" if flags == _WRITE else "opened it"

    return attack


def _open(path: str, flags: int, directory: int | None = None) -> None:
    try:
        os.close(os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=directory))
    except FileNotFoundError:
        raise NotApplicable("this kernel has no such file") from None


for _identity, _root, _path, _flags, _what, _see in (
    ("core-pattern", "sys", "kernel/core_pattern", _WRITE,
     "have the host run a program when one crashes", "core(5); CVE-2022-0811"),
    ("modprobe-path", "sys", "kernel/modprobe", _WRITE,
     "choose what the kernel runs to load modules", "proc_sys_kernel(5)"),
    ("hotplug", "sysfs", "kernel/uevent_helper", _WRITE,
     "choose what the kernel runs for new devices", "uevent_helper"),
    ("poweroff-cmd", "sys", "kernel/poweroff_cmd", _WRITE,
     "choose what the kernel runs to power off", "proc_sys_kernel(5)"),
    ("sysrq", "proc", "sysrq-trigger", _WRITE, "press SysRq", "proc(5)"),
    ("sysrq-enable", "sys", "kernel/sysrq", _WRITE, "allow SysRq", "sysrq.rst"),
    ("drop-caches", "sys", "vm/drop_caches", _WRITE, "drop the host's caches", "proc_sys_vm(5)"),
    ("overcommit", "sys", "vm/overcommit_memory", _WRITE,
     "change how the host gives memory", "proc_sys_vm(5)"),
    ("panic-on-oom", "sys", "vm/panic_on_oom", _WRITE,
     "have the host panic when memory is short", "proc_sys_vm(5)"),
    ("protected-links", "sys", "fs/protected_symlinks", _WRITE,
     "take away the protection of links", "proc_sys_fs(5)"),
    ("file-max", "sys", "fs/file-max", _WRITE, "limit the host's open files", "proc_sys_fs(5)"),
    ("pid-max", "sys", "kernel/pid_max", _WRITE,
     "limit the host's processes", "proc_sys_kernel(5)"),
    ("kptr-restrict", "sys", "kernel/kptr_restrict", _WRITE,
     "have the kernel show its addresses", "proc_sys_kernel(5)"),
    ("dmesg-restrict", "sys", "kernel/dmesg_restrict", _WRITE,
     "have the kernel's log open to all", "proc_sys_kernel(5)"),
    ("randomize", "sys", "kernel/randomize_va_space", _WRITE,
     "stop the randomizing of addresses", "proc_sys_kernel(5)"),
    ("bpf-restrict", "sys", "kernel/unprivileged_bpf_disabled", _WRITE,
     "allow programs in the kernel to all", "proc_sys_kernel(5)"),
    ("kcore", "proc", "kcore", _READ, "read the kernel's memory", "proc(5)"),
    ("kmsg-file", "proc", "kmsg", _READ, "read the kernel's log from /proc", "proc(5)"),
    ("pagemap", "proc", "kpageflags", _READ, "read what every page is used for", "proc(5)"),
    ("power-state", "sysfs", "power/state", _WRITE, "put the machine to sleep", "sysfs"),
    ("cpu-hotplug", "sysfs", "devices/system/cpu/cpu1/online", _WRITE,
     "take a processor from the host", "sysfs"),
    ("module-parameter", "sysfs", "module/printk/parameters/time", _WRITE,
     "set a parameter of the kernel", "sysfs"),
    ("cgroup-of-host", "sysfs", "fs/cgroup/system.slice/cgroup.freeze", _WRITE,
     "freeze the host's services", "CVE-2022-0492, cgroup-v2.rst"),
    ("cgroup-kill", "sysfs", "fs/cgroup/system.slice/cgroup.kill", _WRITE,
     "kill the host's services", "cgroup-v2.rst"),
    ("cgroup-procs", "sysfs", "fs/cgroup/cgroup.procs", _WRITE,
     "leave its control group", "cgroup-v2.rst"),
):  # fmt: skip
    GROUP.probe(_identity, _what, _see)(_opened(_root, _path, _flags))


@contextmanager
def _mount(kind: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir=calls.scratch()) as place:
        try:
            calls.mount(kind, place, kind)
        except OSError as error:
            if error.errno == 19:  # ENODEV
                raise NotApplicable("this kernel has no such file system") from None
            raise
        try:
            yield place
        finally:
            calls.umount(place)


def _mounted(kind: str) -> Callable[[Targets], str]:
    def attack(targets: Targets) -> str:
        del targets
        with _mount(kind):
            return "mounted it"

    return attack


def _opened_in_own(kind: str, path: str) -> Callable[[Targets], str]:
    def attack(targets: Targets) -> str:
        del targets
        with _mount(kind) as place:
            _open(f"{place}/{path}", _WRITE)
        return "opened it for writing"

    return attack


for _kind, _what in (
    ("debugfs", "the kernel's debugging files"),
    ("tracefs", "the kernel's tracing"),
    ("securityfs", "the security modules' files"),
    ("bpf", "the kernel's programs"),
    ("pstore", "what the last crash left"),
):
    GROUP.probe(f"mount-{_kind}", f"mount {_what}", f"mount(2), {_kind}")(_mounted(_kind))

for _identity, _kind, _path, _what, _see in (
    ("core-pattern-own", "proc", "sys/kernel/core_pattern",
     "have the host run a program when one crashes, from a /proc of its own", "core(5)"),
    ("sysrq-own", "proc", "sysrq-trigger", "press SysRq from a /proc of its own", "proc(5)"),
    ("module-parameter-own", "sysfs", "module/printk/parameters/time",
     "set a parameter of the kernel from a /sys of its own", "sysfs"),
):  # fmt: skip
    GROUP.probe(_identity, _what, _see)(_opened_in_own(_kind, _path))

GROUP.probe(
    "core-pattern-escaped",
    "set what runs at a crash, from the host's own /proc",
    "core(5)",
    Position.ESCAPED,
)(_opened("sys", "kernel/core_pattern", _WRITE))
