"""A web server inside, confined, against the same tree started by libvirt alone."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from bench.paired import Row, by_turns, seconds
from bench.programs import runs
from demo.containers import KEYED, Container, let_controls_start, prepare
from demo.shell import run, virsh, wait_for

OURS, THEIRS = "192.168.122.31", "192.168.122.32"
PLAIN_TREE = Path("/var/lib/libvirt/lxc-bench")
FIRST = 100_000
MEMORY = "512M"
PLAIN = f"""<domain type='lxc'><name>plain</name><memory unit='MiB'>{MEMORY[:-1]}</memory>
<os><type>exe</type><init>/sbin/init</init></os>
<idmap><uid start='0' target='{FIRST}' count='65536'/>
<gid start='0' target='{FIRST}' count='65536'/></idmap>
<devices><filesystem type='mount'><source dir='{PLAIN_TREE}'/><target dir='/'/></filesystem>
<interface type='network'><source network='default'/>
<ip address='{THEIRS}' prefix='24'/></interface>
<console type='pty'/></devices></domain>"""
TURNS, ASKING = 3, 9
REQUESTS = 500
SETTLING = 45  #: seconds in which both have started what they start besides nginx


def serving() -> Iterator[Row]:
    """From the start to nginx's first byte, and how many pages it sends in a second."""
    prepare()
    ours = Container("bench")
    # As much of the machine as the other has, which libvirt keeps from nothing but memory.
    ours.define("--address", f"{OURS}/24", "--vcpus", str(os.cpu_count()), "--memory", MEMORY)
    PLAIN_TREE.mkdir()
    run("tar", "-xpf", str(KEYED), "-C", str(PLAIN_TREE))
    shift(PLAIN_TREE)
    run("chcon", "-R", "system_u:object_r:container_file_t:s0", str(PLAIN_TREE), check=False)
    let_controls_start()
    virsh("define", "/dev/stdin", stdin=PLAIN)
    start: dict[str, list[float]] = {"bench": [], "plain": []}
    try:
        for turn in range(TURNS + 1):
            for name, address in (("bench", OURS), ("plain", THEIRS)):
                first = seconds(partial(_serve, name, address))
                wait_for(f"{name} to stop", partial(_stopped, name))
                if turn:  # the first is for the caches
                    start[name].append(first)
        for name, address in (("bench", OURS), ("plain", THEIRS)):
            _serve(name, address)
        time.sleep(SETTLING)
        confined, plain = by_turns(ASKING, partial(_ask, OURS), partial(_ask, THEIRS))
    finally:
        for name in ("bench", "plain"):
            wait_for(f"{name} to stop", partial(_stopped, name))
        virsh("undefine", "plain")
        run("rm", "-rf", str(PLAIN_TREE))
        run("virtsec", "undefine", "bench", "--storage")
    against = "the same tree by libvirt alone"
    yield Row(
        "start to nginx's first byte", against, 1.15, tuple(start["bench"]), tuple(start["plain"])
    )
    yield Row(
        "nginx's pages in a second",
        against,
        0.95,
        tuple(REQUESTS / each for each in confined),
        tuple(REQUESTS / each for each in plain),
        most=True,
    )


def shift(tree: Path) -> None:
    """Give a tree that was unpacked as the host's to the ids that the container has."""
    for each in (tree, *tree.rglob("*")):
        found = each.lstat()
        os.lchown(each, found.st_uid + FIRST, found.st_gid + FIRST)


def _serve(name: str, address: str) -> None:
    """Start it and wait for the first byte of its page."""
    virsh("start", name)
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection((address, 80), 1) as server:
            server.sendall(b"GET / HTTP/1.0\r\n\r\n")
            if server.recv(1):
                return
        time.sleep(0.05)
    raise RuntimeError(f"{name} does not serve")


def _stopped(name: str) -> bool:
    """Stop it; whether it is stopped. libvirt fails when one of its cgroups is gone before that."""
    virsh("destroy", name, check=False)
    return "shut off" in virsh("domstate", name).stdout


def _ask(address: str) -> None:
    """Ask for the page again and again, by one connection."""
    runs(("curl", "-sf", "-o", "/dev/null", f"http://{address}/?[1-{REQUESTS}]"))
