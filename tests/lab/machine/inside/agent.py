"""The laboratory's agent in the guest: does what the host asks and tells it how that went.

One file, standard library only, run by ``lab.service`` as root. It talks over three virtio ports:

``lab.control``  JSON objects, one a line, both ways.
    From the host, by ``do``:
    ``run``     argv, env, cwd, tty and reports (true or false); then ``exit`` follows
    ``signal``  number, sent to the process group of what runs
    ``resize``  rows, columns of the terminal
    ``logs``    pack the guest's logs; then ``logs`` follows
    ``halt``    how: poweroff or reboot, cleanly, or reset, as a power cut would
    To the host, by ``event``:
    ``hello``   once, with what the kernel is and which context the agent has
    ``beat``    every few seconds while the guest lives
    ``report``  line: what the running program wrote to the descriptor $LAB_REPORT_FD
    ``exit``    status (128+n when killed by signal n), bytes, how much it wrote to ``stream``, and
                again: what it wrote to the file $LAB_AGAIN
    ``logs``    bytes, how much was written to ``logs``
``lab.stream``   what the running program reads from its terminal and writes to both its outputs
``lab.logs``     a gzipped tar
"""

import fcntl
import json
import math
import os
import pty
import select
import signal
import struct
import subprocess
import tarfile
import termios
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BEAT = 2.0  # seconds
PORTS = Path("/dev/virtio-ports")
CHUNK = 65536
# Seconds that what a program left behind may go on once it has exited: silent, and in all.
SETTLE = 0.5
SETTLE_IN_ALL = 10.0

# What a log-in of root's would have set.
ENVIRONMENT = {
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/bash",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
}

AGAIN = Path("/run/lab/again")

# What explains a failure afterwards, made by the commands of the table below or there already.
LOG_TREES = ("/var/log/audit", "/var/log/libvirt", "/run/lab/logs")
LOG_COMMANDS = {
    "journal.txt": ["journalctl", "--no-pager", "-o", "short-precise"],
    "dmesg.txt": ["dmesg"],
    "domains.txt": ["virsh", "--connect", "lxc:///", "list", "--all"],
    "processes.txt": ["ps", "-eo", "pid,ppid,user,label:60,stat,args"],
}


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``, however little the kernel takes at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


class Control:
    """The control port. Several threads tell, one listens."""

    def __init__(self) -> None:
        self._descriptor = os.open(PORTS / "lab.control", os.O_RDWR)
        self._lock = threading.Lock()

    def tell(self, event: str, **values: object) -> None:
        """Send one event to the host."""
        line = json.dumps({"event": event, **values}) + "\n"
        with self._lock:
            write_all(self._descriptor, line.encode())

    def beat(self) -> None:
        """Tell the host again and again that the guest lives."""
        while True:
            self.tell("beat")
            threading.Event().wait(BEAT)

    def requests(self) -> Any:
        """Yield the host's requests as they come."""
        with os.fdopen(os.dup(self._descriptor), "rb") as lines:
            for line in lines:
                yield json.loads(line)


class Run:
    """One program the host asked for."""

    def __init__(self, control: Control, stream: int, request: Mapping[str, Any]) -> None:
        self._control = control
        self._stream = stream
        self._written = 0
        self._tty = bool(request["tty"])
        self._process: subprocess.Popen[bytes] | None = None
        self.request = request
        if self._tty:
            self._ours, self._theirs = pty.openpty()
        else:
            # One pipe for both outputs: that alone keeps them in the order they were written.
            self._ours, self._theirs = os.pipe()

    def main(self) -> None:
        """Run it and report its exit; a thread's whole life."""
        AGAIN.unlink(missing_ok=True)
        reports, reports_end = os.pipe()
        teller = threading.Thread(target=self._forward_reports, args=(reports,), daemon=True)
        teller.start()
        try:
            process = self._start(reports_end)
        except OSError as error:
            self._write(f"{error.filename or self.request['argv'][0]}: {error.strerror}\n".encode())
            status = 127  # as a shell has it
        else:
            self._forward_output(process)
            returned = process.wait()
            status = 128 - returned if returned < 0 else returned
        # A child left behind may keep the descriptor open for good; what matters is in by then.
        teller.join(timeout=SETTLE_IN_ALL)
        again = AGAIN.read_text().strip() if AGAIN.exists() else ""
        self._control.tell("exit", status=status, bytes=self._written, again=again)

    def _start(self, reports_end: int) -> subprocess.Popen[bytes]:
        argv = self.request["argv"]
        env = {**ENVIRONMENT, "LAB_AGAIN": str(AGAIN), **self.request["env"]}
        inherited = []
        if self.request["reports"]:
            env["LAB_REPORT_FD"] = str(reports_end)
            inherited.append(reports_end)
        if self._tty:
            argv = ["setsid", "--ctty", *argv]
        try:
            process = subprocess.Popen(
                argv,
                stdin=self._theirs if self._tty else subprocess.DEVNULL,
                stdout=self._theirs,
                stderr=self._theirs,
                cwd=self.request["cwd"],
                env=env,
                pass_fds=inherited,
                # With a terminal it is setsid(1) that makes the session, and the terminal its own.
                start_new_session=not self._tty,
            )
        finally:
            # Ours would keep the program's ends open, and their end from ever being seen.
            os.close(self._theirs)
            os.close(reports_end)
        self._process = process
        return process

    def _write(self, data: bytes) -> None:
        write_all(self._stream, data)
        self._written += len(data)

    def _forward_output(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on what the program writes, until it and all it left behind are done or silent."""
        end = math.inf
        while time.monotonic() < end:
            if end == math.inf and process.poll() is not None:
                end = time.monotonic() + SETTLE_IN_ALL
            ready, _, _ = select.select([self._ours], [], [], SETTLE)
            if ready:
                try:
                    data = os.read(self._ours, CHUNK)
                except OSError:  # a terminal's way to say that its last user is gone
                    return
                if not data:
                    return
                self._write(data)
            elif end < math.inf:
                return

    def _forward_reports(self, reports: int) -> None:
        with os.fdopen(reports, "rb") as lines:
            for line in lines:
                self._control.tell("report", line=line.decode())

    def forward_input(self) -> None:
        """Pass on what the host's user types; a thread's whole life."""
        while data := os.read(self._stream, CHUNK):
            try:
                write_all(self._ours, data)
            except OSError:
                return

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal a size in characters."""
        if self._tty:
            fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def signal(self, number: int) -> None:
        """Send a signal to the program and the children in its process group."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)


def send_logs(control: Control) -> None:
    """Pack the logs and send them."""
    made = Path("/run/lab/logs")
    made.mkdir(exist_ok=True)
    for name, argv in LOG_COMMANDS.items():
        with (made / name).open("wb") as out:
            subprocess.run(argv, stdout=out, stderr=subprocess.STDOUT, check=False)
    packed = Path("/run/lab/logs.tar.gz")
    with tarfile.open(packed, "w:gz", compresslevel=1) as tar:
        for tree in LOG_TREES:
            for path in sorted(Path(tree).rglob("*")):
                if path.is_file():
                    tar.add(path, arcname=str(path.relative_to(Path(tree).parent)))
    port = os.open(PORTS / "lab.logs", os.O_WRONLY)
    with packed.open("rb") as content:
        while data := content.read(CHUNK):
            write_all(port, data)
    os.close(port)
    control.tell("logs", bytes=packed.stat().st_size)


def read(path: str) -> str:
    """Return the one line of a file of the kernel's, or nothing where it has none."""
    try:
        return Path(path).read_text().rstrip("\0\n")
    except OSError:
        return ""


def main() -> None:
    """Serve the host until the guest goes down."""
    # systemd stops the agent with it when the guest goes down; that is no failure.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    control = Control()
    stream = os.open(PORTS / "lab.stream", os.O_RDWR)
    control.tell(
        "hello",
        release=os.uname().release,
        lsm=read("/sys/kernel/security/lsm"),
        enforce=read("/sys/fs/selinux/enforce"),
        context=read("/proc/self/attr/current"),
    )
    threading.Thread(target=control.beat, daemon=True).start()
    run: Run | None = None
    for request in control.requests():
        match request["do"]:
            case "run":
                run = Run(control, stream, request)
                threading.Thread(target=run.main, daemon=True).start()
                if request["tty"]:
                    threading.Thread(target=run.forward_input, daemon=True).start()
            case "resize" if run is not None:
                run.resize(request["rows"], request["columns"])
            case "signal" if run is not None:
                run.signal(request["number"])
            case "logs":
                threading.Thread(target=send_logs, args=(control,), daemon=True).start()
            case "halt" if request["how"] == "reset":
                Path("/proc/sysrq-trigger").write_text("b")
            case "halt":
                subprocess.run(["systemctl", "--no-block", request["how"]], check=False)


if __name__ == "__main__":
    main()
