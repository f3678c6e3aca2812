"""What is attacked besides files: tasks, a terminal, sockets, memory. Laid on either side.

`lay` runs as a task of the host, or of the other container, makes what it is told to, reports it,
and from then on answers any message with what has become of it. All of it ends with this process.
Standard library only: it goes into the container.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import tty
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NoReturn

from virtsec.attacks.probes import calls
from virtsec.kernel.privilege import die_with_parent, prctl
from virtsec.kernel.syscall import check, libc
from virtsec.runtime.order import MESSAGE
from virtsec.runtime.user import PR_SET_DUMPABLE

#: TCP ports that SELinux's policy lets a web server have: a container may connect to these at all.
_WEB = (8008, 8009, 8443)
#: As many addresses of a container are listened on.
_ADDRESSES = 4
_SIOCGIFADDR = 0x8915
_RMID = 0
_PR_SET_PTRACER = 0x59616D61  # Yama: whoever may, may trace it
Told = dict[str, Any]


def lay(content: Told, outside: socket.socket) -> None:
    """Make what `content["makes"]` names, as user `content["uid"]`; report it, then answer."""
    if content["uid"]:
        os.setresgid(*[content["uid"]] * 3)
        os.setresuid(*[content["uid"]] * 3)
    report: Told = {}
    descriptors: list[int] = []
    watched: list[Callable[[], Told]] = []
    for name in content["makes"]:
        told, handed, watch = _MAKERS[name](content)
        report |= told
        descriptors += handed
        watched.append(watch)
    socket.send_fds(outside, [json.dumps(report).encode()], descriptors)
    while outside.recv(MESSAGE):
        state: Told = {}
        for watch in watched:
            state |= watch()
        outside.send(json.dumps(state).encode())


def _idle() -> NoReturn:
    while True:
        signal.pause()


def _start(prepare: Callable[[], None]) -> int:
    """A task that does `prepare` and then nothing, for as long as this one lives."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            die_with_parent(signal.SIGKILL)
            prctl(PR_SET_DUMPABLE, 1)  # else nobody could trace it, label or not
            with contextlib.suppress(OSError):
                libc.prctl(_PR_SET_PTRACER, ctypes.c_ulong(2**64 - 1), 0, 0, 0)
            os.close(writing)
            prepare()
            _idle()
        finally:
            os._exit(1)
    os.close(writing)
    os.read(reading, 1)  # until it may be looked at
    os.close(reading)
    return child


def _make_tasks(content: Told) -> tuple[Told, list[int], Callable[[], Told]]:
    secret = content["secret"].encode()
    memory = ctypes.create_string_buffer(secret)
    held = os.open("key", os.O_RDONLY | os.O_CLOEXEC, dir_fd=content["tree"])
    task, victim = _start(lambda: None), _start(lambda: None)
    at = ctypes.addressof(memory)

    def watch() -> Told:
        gone = []
        for name, pid in (("task", task), ("victim", victim)):
            with contextlib.suppress(ChildProcessError):
                ended, _ = os.waitpid(pid, os.WNOHANG)
                if not ended:
                    continue
            gone.append(name)
        found: Told = {"tasks that ended": gone}
        if "task" not in gone:
            descriptor = os.open(f"/proc/{task}/mem", os.O_RDONLY | os.O_CLOEXEC)
            found["the task's memory"] = os.pread(descriptor, len(secret), at).hex()
            os.close(descriptor)
            found["the task's priority"] = os.getpriority(os.PRIO_PROCESS, task)
            score = Path(f"/proc/{task}/oom_score_adj").read_text("utf-8")
            found["the task's oom_score_adj"] = score.strip()
        return found

    told = {"task": task, "victim": victim, "address": at, "descriptor": held}
    return told, [], watch


def _make_pty(content: Told) -> tuple[Told, list[int], Callable[[], Told]]:
    del content
    master, slave = pty.openpty()
    tty.setraw(slave)
    with contextlib.suppress(OSError):
        os.fchmod(slave, 0o666)
    path = os.open(os.ttyname(slave), os.O_PATH | os.O_CLOEXEC)
    seen = bytearray()

    def watch() -> Told:
        if select.select([master], [], [], 0)[0]:
            seen.extend(os.read(master, 4096))
        return {"typed at the terminal": seen.hex()}

    return {}, [path], watch


def _listening(listener: socket.socket, what: str) -> Callable[[], Told]:
    listener.listen(64)
    listener.setblocking(False)
    counted = 0

    def watch() -> Told:
        nonlocal counted
        with contextlib.suppress(BlockingIOError):
            while True:
                listener.accept()[0].close()
                counted += 1
        return {f"connections to {what}": counted}

    return watch


def _make_sockets(content: Told) -> tuple[Told, list[int], Callable[[], Told]]:
    named, abstract = (socket.socket(socket.AF_UNIX) for _ in range(2))
    path = f"/proc/self/fd/{content['tree']}/socket"
    named.bind(path)
    with contextlib.suppress(OSError):
        Path(path).chmod(0o777)
    abstract.bind(b"\0" + content["abstract"].encode())
    watches = [_listening(named, "the socket"), _listening(abstract, "the abstract socket")]
    return {}, [], lambda: watches[0]() | watches[1]()


def _make_memory(content: Told) -> tuple[Told, list[int], Callable[[], Told]]:
    del content
    number = calls.call("shmget", 0, 4096, 0o1666)
    libc.shmat.restype = ctypes.c_void_p
    address = libc.shmat(number, None, 0)
    # It is gone with the last process that has it, and can be attached until then (shmctl(2)).
    check(libc.shmctl(number, _RMID, None), "shmctl")
    held = ctypes.string_at(address, 16)

    def watch() -> Told:
        return {"shared memory": (held == ctypes.string_at(address, 16))}

    return {"shm": number}, [], watch


def _addresses() -> list[str]:
    """This network namespace's own addresses, those of eth0."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        request = struct.pack("256s", b"eth0")
        with contextlib.suppress(OSError):
            answer = fcntl.ioctl(asking.fileno(), _SIOCGIFADDR, request)
            found.append(socket.inet_ntoa(answer[20:24]))
    with contextlib.suppress(OSError):
        for line in Path("/proc/net/if_inet6").read_text("utf-8").splitlines():
            address, *_, name = line.split()
            if name == "eth0":
                text = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(address))
                found.append(f"{text}%eth0" if text.startswith("fe80") else text)
    return found[:_ADDRESSES]


def _make_servers(content: Told) -> tuple[Told, list[int], Callable[[], Told]]:
    addresses = content["addresses"] or _addresses()
    linked = content.get("linked", ())
    tcp: list[tuple[str, int]] = []
    udp: list[tuple[str, int]] = []
    silent: list[tuple[str, int]] = []
    watches: list[Callable[[], Told]] = []
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        port = _serve(address, family, [x for x in _WEB if x not in linked], watches)
        if port:
            tcp.append((address, port))
        with contextlib.suppress(OSError):
            udp.append((address, _answer(address, family, linked)))
        with contextlib.suppress(OSError):
            silent.append((address, _hear(address, family, linked, watches)))

    def watch() -> Told:
        return {name: value for each in watches for name, value in each().items()}

    return {"tcp": tcp, "udp": udp, "silent": silent}, [], watch


def _serve(
    address: str, family: int, ports: Sequence[int], watches: list[Callable[[], Told]]
) -> int:
    """The port of `ports` it listens on; 0 when all are in use or refused."""
    for port in ports:
        listener = socket.socket(family)
        try:
            listener.bind(calls.place_of(address, port))
        except OSError:
            listener.close()
            continue
        watches.append(_listening(listener, f"{address}, port {port}"))
        return port
    return 0


def _unlinked(address: str, family: int, linked: Collection[int]) -> socket.socket:
    """A socket for datagrams on a port that no link leads to. Raises `OSError`."""
    while True:
        server = socket.socket(family, socket.SOCK_DGRAM)
        server.bind(calls.place_of(address, 0))
        if server.getsockname()[1] not in linked:
            return server
        server.close()


def _answer(address: str, family: int, linked: Collection[int]) -> int:
    """The port on which a child sends back what comes."""
    server = _unlinked(address, family, linked)

    def answer() -> None:
        while True:
            content, sender = server.recvfrom(64)
            server.sendto(content, sender)

    _start(answer)
    number: int = server.getsockname()[1]
    return number


def _hear(
    address: str, family: int, linked: Collection[int], watches: list[Callable[[], Told]]
) -> int:
    """The port where what comes is counted, and not answered."""
    server = _unlinked(address, family, linked)
    server.setblocking(False)
    number: int = server.getsockname()[1]
    counted = 0

    def watch() -> Told:
        nonlocal counted
        with contextlib.suppress(BlockingIOError):
            while True:
                server.recv(64)
                counted += 1
        return {f"datagrams to {address}, port {number}": counted}

    watches.append(watch)
    return number


_MAKERS: dict[str, Callable[[Told], tuple[Told, list[int], Callable[[], Told]]]] = {
    "tasks": _make_tasks,
    "pty": _make_pty,
    "sockets": _make_sockets,
    "memory": _make_memory,
    "servers": _make_servers,
}
