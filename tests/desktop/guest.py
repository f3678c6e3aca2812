"""The guest's side: what virt-manager finds, its way to libvirt, and a look at what it did.

    guest.py prepare|relay|check OURS THEIRS MIB

Standard library only, and virtsec's command line.
"""

import json
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BUSYBOX = "/srv/images/busybox.tar"
WIRE = "/dev/virtio-ports/lab.wire"
LIBVIRT = "/run/libvirt/libvirt-sock"
BEFORE = Path("/run/lab/before.xml")
CHUNK = 1 << 16
BEAT = 1000  # milliseconds

FOREIGN = """<domain type='lxc'>
  <name>{name}</name>
  <memory unit='MiB'>64</memory>
  <os><type>exe</type><init>/bin/sh</init></os>
  <devices>
    <filesystem type='mount'><source dir='/srv'/><target dir='/'/></filesystem>
    <console type='pty'/>
  </devices>
</domain>
"""


def run(*words: str, stdin: str | None = None) -> str:
    """What a command prints; ends all with what it said when it fails."""
    done = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"`{' '.join(words)}` failed: {done.stderr.strip()}")
    return done.stdout


def virsh(*words: str, stdin: str | None = None) -> str:
    """What virsh prints of the LXC driver's."""
    return run("virsh", "--connect", "lxc:///", *words, stdin=stdin)


def info(name: str) -> dict[str, Any]:
    """What virtsec says of a container."""
    said: dict[str, Any] = json.loads(run("virtsec", "info", name, "--json"))
    return said


def prepare(ours: str, theirs: str) -> None:
    """Make a container of virtsec's, and a domain that is not."""
    run("virtsec", "define", ours, "--from", BUSYBOX, "--memory", "256M")
    virsh("define", "/dev/stdin", stdin=FOREIGN.format(name=theirs))
    BEFORE.write_text(virsh("dumpxml", "--inactive", theirs))


def relay() -> None:
    """Pass on what comes over the wire to libvirt, and back, one connection after the other.

    Says something each second, so that the other side can look around. Ends by a signal.
    """
    wire = os.open(WIRE, os.O_RDWR)
    while True:
        print(end=".", flush=True)
        poll = select.poll()
        poll.register(wire, select.POLLIN)
        if any(seen & select.POLLIN for _, seen in poll.poll(BEAT)):
            with socket.socket(socket.AF_UNIX) as libvirt:
                libvirt.connect(LIBVIRT)
                connect(wire, libvirt)
        else:
            time.sleep(BEAT / 1000)  # where nobody is at the other end, poll(2) does not wait


def connect(wire: int, libvirt: socket.socket) -> None:
    """Pass on both ways until one of both is gone."""
    poll = select.poll()
    poll.register(wire, select.POLLIN)
    poll.register(libvirt, select.POLLIN)
    while True:
        print(end=".", flush=True)
        for ready, seen in poll.poll(BEAT):
            if not seen & select.POLLIN:
                return
            data = os.read(ready, CHUNK)
            if not data:
                return
            if ready == wire:
                libvirt.sendall(data)
            else:
                while data:
                    data = data[os.write(wire, data) :]


def check(ours: str, theirs: str, mib: int) -> None:
    """What virt-manager changed is in force at the next start, and nothing else is changed."""
    found = info(ours)
    assert found["confinement"] == "confined", found["remarks"]
    assert (found["state"], found["memory_mib"]) == ("shut off", mib), found
    virsh("start", ours)  # which the hook would refuse, were it not to its liking
    found = info(ours)
    assert found["confinement"] == "confined", found["remarks"]
    assert found["label_holds"], found["live_label"]
    assert mib << 20 in limits(found["init_pid"]), limits(found["init_pid"])
    virsh("destroy", ours)
    assert virsh("dumpxml", "--inactive", theirs) == BEFORE.read_text()
    print(f"{ours} starts with {mib} MiB, confined as before; {theirs} is as it was")


def limits(pid: int) -> list[int]:
    """The most memory that the control groups of a process let it have, in bytes."""
    own = Path("/sys/fs/cgroup", Path(f"/proc/{pid}/cgroup").read_text().strip()[len("0::/") :])
    groups = [group / "memory.max" for group in (own, *own.parents)]
    texts = [group.read_text().strip() for group in groups if group.exists()]
    return [int(text) for text in texts if text.isdecimal()]


def main(what: str, ours: str, theirs: str, mib: str) -> None:
    """Do the one or the other."""
    if what == "prepare":
        prepare(ours, theirs)
    elif what == "relay":
        relay()
    else:
        check(ours, theirs, int(mib))


if __name__ == "__main__":
    main(*sys.argv[1:])
