"""System calls that Python has no name for, as attacks use them. Standard library only."""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import tempfile

from virtsec.kernel.syscall import check, libc, syscall

_SCRATCH = ("/var/tmp", "/tmp", "/run", "/dev/shm", "/")  # noqa: S108  (inside)
#: Numbers below 424 differ by architecture: x86_64, and those that share asm-generic/unistd.h.
_GENERIC = {
    "ptrace": 117,
    "process_vm_readv": 270,
    "process_vm_writev": 271,
    "init_module": 105,
    "kexec_load": 104,
    "settimeofday": 170,
    "syslog": 116,
    "acct": 89,
    "swapon": 224,
    "bpf": 280,
    "perf_event_open": 241,
    "keyctl": 219,
    "shmget": 194,
    "shmat": 196,
    "open_by_handle_at": 265,
    "execveat": 281,
    "kcmp": 272,
    "move_pages": 239,
}
_X86_64 = {
    "ptrace": 101,
    "process_vm_readv": 310,
    "process_vm_writev": 311,
    "init_module": 175,
    "kexec_load": 246,
    "settimeofday": 164,
    "syslog": 103,
    "acct": 163,
    "swapon": 167,
    "bpf": 321,
    "perf_event_open": 298,
    "keyctl": 250,
    "shmget": 29,
    "shmat": 30,
    "open_by_handle_at": 304,
    "execveat": 322,
    "kcmp": 312,
    "move_pages": 279,
}
_NUMBERS = _X86_64 if platform.machine() == "x86_64" else _GENERIC
PIDFD_GETFD = 438


def call(name: str, *arguments: object) -> int:
    """The system call `name`. Raises `OSError`."""
    return syscall(_NUMBERS[name], name, *arguments)


def place_of(address: str, port: int) -> tuple[str | int, ...]:
    """Where to bind or connect to; `fe80::1%eth0` names an interface."""
    plain, _, interface = address.partition("%")
    if ":" not in plain:
        return plain, port
    return plain, port, 0, socket.if_nametoindex(interface) if interface else 0


def scratch() -> str:
    """A directory to make files in: on disk if possible, as a tmpfs may have no set-id bits.

    Raises `RuntimeError` where nothing can be made: then nothing is tried, and nothing refused. But
    where it is permission that lacks the attack is to find that out.
    """
    for place in _SCRATCH:
        try:
            tempfile.TemporaryFile(dir=place).close()
        except PermissionError:
            return place
        except OSError:
            continue
        return place
    raise RuntimeError(f"nothing can be made in {', '.join(_SCRATCH)}")


def mount(source: str, target: str, kind: str, flags: int = 0) -> None:
    """mount(2) without data. Raises `OSError`."""
    words = [each.encode() for each in (source, target, kind)]
    check(libc.mount(*words, ctypes.c_ulong(flags), None), "mount")


def umount(target: str) -> None:
    """Take a mount away at once (umount2(2), MNT_DETACH). Raises `OSError`."""
    check(libc.umount2(target.encode(), 2), "umount")


class _Span(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


def read_memory(pid: int, address: int, size: int) -> bytes:
    """process_vm_readv(2). Raises `OSError`."""
    content = ctypes.create_string_buffer(size)
    ours = _Span(ctypes.addressof(content), size)
    theirs = _Span(address, size)
    call("process_vm_readv", pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)
    return content.raw


def write_memory(pid: int, address: int, data: bytes) -> None:
    """process_vm_writev(2). Raises `OSError`."""
    content = ctypes.create_string_buffer(data)
    ours = _Span(ctypes.addressof(content), len(data))
    theirs = _Span(address, len(data))
    call("process_vm_writev", pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0)


def execute(descriptor: int) -> None:
    """Execute what `descriptor` refers to (execveat(2), AT_EMPTY_PATH). Raises `OSError`."""
    nothing = (ctypes.c_char_p * 1)(None)
    call("execveat", descriptor, b"", nothing, nothing, 0x1000)


def open_handle(mount_descriptor: int, handle: str, flags: int = os.O_RDONLY) -> int:
    """open_by_handle_at(2); the handle is "type:hexadecimal bytes". Raises `OSError`."""
    kind, _, content = handle.partition(":")
    data = bytes.fromhex(content)
    packed = len(data).to_bytes(4, "little") + int(kind).to_bytes(4, "little", signed=True) + data
    return call("open_by_handle_at", mount_descriptor, packed, flags)


def name_to_handle(directory: int, name: str) -> str:
    """A file's handle as `open_handle` takes it (name_to_handle_at(2)). Raises `OSError`."""
    room = 128
    packed = ctypes.create_string_buffer(room.to_bytes(4, "little") + bytes(4 + room), 8 + room)
    mount_id = ctypes.c_int()
    number = 303 if platform.machine() == "x86_64" else 264
    syscall(
        number, "name_to_handle_at", directory, name.encode(), packed, ctypes.byref(mount_id), 0
    )
    size = int.from_bytes(packed.raw[:4], "little")
    kind = int.from_bytes(packed.raw[4:8], "little", signed=True)
    return f"{kind}:{packed.raw[8 : 8 + size].hex()}"
