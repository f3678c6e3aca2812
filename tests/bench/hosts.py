"""What a host with many containers takes: policies, definitions, the list of them all."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import libvirt
from bench.paired import Row, by_turns, seconds
from bench.programs import runs
from demo.containers import ALIKE, BUSYBOX, IMAGE, fleet_of
from lxml import etree

from virtsec.commands.facts import gather
from virtsec.commands.host import open_host
from virtsec.mac.protocol import Policy
from virtsec.plans.define import plan_define
from virtsec.shares import processors
from virtsec.spec import STORE, ContainerSpec
from virtsec.step import Host, Silent

URI = "lxc:///"
TURNS = 3
LAYERS = 5
MODULE = "(type bench_t)(roletype object_r bench_t)"
#: What each container's types are to the host's policy, and nothing of what they may do.
LEAST = """\
(type {process}) (type {exec}) (type {file})
(roletype system_r {process}) (roletype object_r {exec}) (roletype object_r {file})
(typeattributeset domain ({process})) (typeattributeset file_type ({exec} {file}))
"""
#: What a command loads, whatever it does then.
IMPORTS = "import typer, libvirt, lxml.etree"
LIBRARIES = (sys.executable, "-c", IMPORTS)
#: The same, and libvirt asked for what each domain is, for which it has no call for all at once.
DEFINITIONS = (
    sys.executable,
    "-c",
    f"{IMPORTS}\nfor each in libvirt.openReadOnly({URI!r}).listAllDomains(): each.XMLDesc(2)",
)


def defining(place: Path) -> Iterator[Row]:
    """A container from an archive: unpacked with other owners, labelled, defined; no policy."""
    tree = place / "tree"

    def theirs() -> None:
        tree.mkdir()
        runs(("tar", "-xpf", str(IMAGE), "-C", str(tree)))

    ours, against, floor = [], [], []
    for turn in range(TURNS + 1):
        took = seconds(
            partial(runs, ("virtsec", "define", "bench-tar", "--from", str(IMAGE), *ALIKE))
        )
        runs(("virtsec", "undefine", "bench-tar", "--storage"))
        alone = seconds(theirs)
        shutil.rmtree(tree)
        if turn:  # the first is for the caches
            ours.append(took)
            against.append(alone)
            floor.append(alone + seconds(partial(runs, LIBRARIES)))
    work = "define from an archive"
    yield Row(work, "tar -xpf alone", 1.2, tuple(ours), tuple(against), floor=tuple(floor))


def policies(place: Path) -> Iterator[Row]:
    """The policies of 1 and of 100 containers, against any module at all; SELinux only."""
    host = open_host(Silent())
    module = place / "bench.cil"
    module.write_text(MODULE)

    def theirs() -> None:
        runs(("semodule", "-X", "200", "-i", str(module)))

    for count, limit in ((1, 1.1), (100, 1.5)):
        names = [f"bench-{number}" for number in range(count)]
        wanted = [_policy(host, name) for name in names]
        ours, against = [], []
        for _ in range(2):
            ours.append(seconds(partial(host.mac.load, wanted)))
            host.mac.unload(names)
            against.append(seconds(theirs))
            runs(("semodule", "-X", "200", "-r", "bench"))
        work = f"policy for {count} container{'s' if count > 1 else ''}"
        floor = least_policies(place / "least", names)
        yield Row(
            work, "semodule -i of one module", limit, tuple(ours), tuple(against), floor=(floor,)
        )


def least_policies(place: Path, names: Sequence[str]) -> float:
    """Seconds of loading types alone: each container's, which the host's rules are about already.

    A policy has a rule for each pair of types, so what it says of all domains and of all files it
    says once more for each container, whatever virtsec has to say.
    """
    place.mkdir()
    install, remove = ["semodule", "-X", "200"], ["semodule", "-X", "200"]
    for name in names:
        module = place / f"least-{name}.cil"
        module.write_text(
            LEAST.format(process=f"{name}_l_t", file=f"{name}_f_t", exec=f"{name}_e_t")
        )
        install += ["-i", str(module)]
        remove += ["-r", module.stem]
    took = seconds(partial(runs, install))
    runs(remove)
    shutil.rmtree(place)
    return took


def _policy(host: Host, name: str) -> Policy:
    spec = ContainerSpec(name, STORE / name / "rootfs", str(BUSYBOX))
    return plan_define(spec, gather(host), host.mac).policy


def many(place: Path, count: int) -> Iterator[Row]:
    """`count` containers on one base by `virtsec fleet apply`, and the list with all there.

    They are kept apart by categories, which loads no policy.
    """
    file = place / "fleet.yaml"
    small, _ = _apply(file, 10)
    destroy(file)
    large, took = _apply(file, count)
    try:
        yield from listing(count)
        xml = libvirt.open(URI).lookupByName("many-1").XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    finally:
        destroy(file)
    bare = _define_bare(xml, count)
    layer = statistics.median(least_layer(place / f"layer-{n}") for n in range(LAYERS))
    layers = count * layer / processors()
    yield Row(
        work=f"define {count:,} on one base",
        against="a loop of defineXML",
        limit=1.3,
        ours=(took,),
        theirs=(bare,),
        floor=(bare + layers,),
    )
    yield Row(f"memory of define {count:,}", "memory of define 10", 1.5, (large,), (small,))


def least_layer(place: Path) -> float:
    """Seconds of giving a layer each inode of its base: by chown alone, and without labels.

    One processor's: several layers are made at once.
    """
    names = ("base", "own", "work", "seen")
    for each in names:
        (place / each).mkdir(parents=True)
    base, own, work, tree = (place / each for each in names)
    runs(("tar", "-xpf", str(BUSYBOX), "-C", str(base)))
    options = f"metacopy=on,lowerdir={base},upperdir={own},workdir={work}"
    runs(("mount", "-t", "overlay", "-o", options, "overlay", str(tree)))
    try:
        return seconds(partial(runs, ("chown", "-Rh", "100000:100000", str(tree))))
    finally:
        runs(("umount", str(tree)))
        shutil.rmtree(place)


def destroy(file: Path) -> None:
    """Take what the file asks for away, the base too."""
    runs(("virtsec", "fleet", "destroy", str(file)))
    runs(("virtsec", "base", "remove", "many"))


def listing(count: int) -> Iterator[Row]:
    """The list of `count` domains."""
    ours, theirs, floor = by_turns(
        7,
        lambda: runs(("virtsec", "list", "--all")),
        lambda: runs(("virsh", "-c", URI, "list", "--all")),
        lambda: runs(DEFINITIONS),
    )
    work = f"virtsec list with {count:,} domains"
    yield Row(work, "virsh list --all", 3.0, ours, theirs, floor=floor)


def _apply(file: Path, count: int) -> tuple[float, float]:
    """Peak memory in KiB and seconds of making `count`; their base is there before."""
    file.write_text(fleet_of("many", count))
    runs(("virtsec", "base", "create", "many", "--from", str(BUSYBOX)))
    begun = time.perf_counter()
    process = subprocess.Popen(
        ("virtsec", "fleet", "apply", str(file)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    took = time.perf_counter() - begun
    if status:
        raise RuntimeError(f"fleet apply ended with {status}")
    return float(used.ru_maxrss), took


def _define_bare(xml: str, count: int) -> float:
    """Seconds of defining as many by libvirt alone."""
    connection = libvirt.open(URI)
    texts = []
    for number in range(count):
        domain = etree.fromstring(xml)
        domain.find("name").text = f"bare-{number}"
        domain.find("uuid").text = str(uuid.uuid4())
        texts.append(etree.tostring(domain, encoding="unicode"))

    def define() -> None:
        for text in texts:
            connection.defineXML(text)

    try:
        return seconds(define)
    finally:
        for number in range(count):
            connection.lookupByName(f"bare-{number}").undefine()
