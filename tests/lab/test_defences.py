"""verify sees it when one defence is taken away: what rested on it is broken, and nothing else.

What rests on a defence is no guess: proven.json says which defences refuse each attack alone.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from audited import met, said
from demo.containers import Container, Small
from demo.shell import run, virsh, virtsec
from machine.qemu import Lsm
from rules import permissive, unlabelled
from verified import broken, verified

from virtsec.attacks.probe import Defence
from virtsec.attacks.probes import PROBES
from virtsec.attacks.proven import proven
from virtsec.commands.verifying import active_at
from virtsec.host.places import CONTROLLER, HOOK

DEVICE = Path("/dev/hwrng")
#: What a capability is for decides which attacks it opens; sys_module's are these.
OF_SYS_MODULE = {"load-module", "raise", "file-capability"}

#: What goes over the network from one container to another.
TO_ANOTHER = {f"{kind}{version}-other" for kind in ("tcp", "udp", "spoofed") for version in (4, 6)}


def resting_on(lsm: Lsm, *gone: Defence) -> set[str]:
    """The attacks that nothing refuses once these are gone, from an unprivileged container."""
    return {
        identity
        for identity, alone in proven(lsm.value, privileged=False).items()
        if not set(alone) & active_at(PROBES[identity].position, privileged=False) - set(gone)
    }


def opening_devices(lsm: Lsm, *gone: Defence) -> set[str]:
    """Those of `resting_on` that do so where the device control group lets `DEVICE` in."""
    with_any = resting_on(lsm, *gone, Defence.CGROUP)
    return resting_on(lsm, *gone) | (with_any & {f"open-{DEVICE.name}"})


@pytest.fixture(scope="module")
def outcome(vs1: Container, vs2: Container) -> Callable[[], tuple[int, set[str]]]:
    """What `verify` ends with, and which attacks it calls broken."""

    def outcome() -> tuple[int, set[str]]:
        status, result = verified(vs1.name, "--against", vs2.name)
        return status, set(broken(result))

    return outcome


def test_each_defence_has_attacks_that_rest_on_it(lsm: Lsm) -> None:
    """Else the tests here would compare nothing with nothing."""
    assert len(resting_on(lsm, Defence.MAC)) >= 30
    assert resting_on(lsm, Defence.NETWORK) == TO_ANOTHER
    assert len(opening_devices(lsm, Defence.MAC)) > len(resting_on(lsm, Defence.MAC))
    assert "raise" in resting_on(lsm, Defence.CAPABILITY)


@pytest.mark.once
def test_without_the_policy_what_rests_on_the_label_is_broken(
    outcome: Callable[[], tuple[int, set[str]]], vs3: Container, lsm: Lsm
) -> None:
    with permissive(lsm, "vs1", "vs2"):
        # What audit reads out of that policy is open as attacks find it; and nothing of vs3's is.
        pairs = [("vs1", "vs2"), ("vs3", "vs2")]
        assert said(pairs) == met(pairs) == {("vs1", "vs2", "files"), ("vs1", "vs2", "signals")}
        assert outcome() == (1, resting_on(lsm, Defence.MAC))
        with let_in(lsm, "vs1"):
            assert outcome() == (1, opening_devices(lsm, Defence.MAC))


@pytest.mark.once
def test_with_a_device_let_in_what_rests_on_its_control_group_is_broken(
    outcome: Callable[[], tuple[int, set[str]]], lsm: Lsm
) -> None:
    expected = opening_devices(lsm)
    with let_in(lsm, "vs1"):
        assert outcome() == (1 if expected else 0, expected)


@pytest.mark.once
def test_without_labels_of_packets_the_neighbour_is_reached(
    outcome: Callable[[], tuple[int, set[str]]], lsm: Lsm
) -> None:
    with unlabelled(lsm):
        assert outcome() == (1, TO_ANOTHER)


@pytest.mark.once
def test_with_a_capability_let_past_the_hook_what_rests_on_it_is_broken(
    small: Small, vs2: Container, lsm: Lsm
) -> None:
    more = (r"(<capabilities policy='deny'>)", r"\1<sys_module state='on'/>")
    with edited(small.name, *more), hook_skipped():
        virsh("start", small.name)  # virtsec itself looks for the hook
        status, result = verified(small.name, "--against", vs2.name)
        expected = resting_on(lsm, Defence.CAPABILITY) & OF_SYS_MODULE
        assert (status, set(broken(result))) == (1, expected)


@pytest.mark.once
def test_what_has_the_same_label_is_reached_where_only_the_label_refuses(
    vs1: Container, small: Small, lsm: Lsm
) -> None:
    try:
        with labelled_as(lsm, small.name, vs1.name), hook_skipped():
            virsh("start", small.name)
            status, result = verified(vs1.name, "--against", small.name)
            others = {each for each in resting_on(lsm, Defence.MAC) if each.startswith("other-")}
            # Nobody may give even files of its own another label.
            assert (status, set(broken(result))) == (1, others - {"other-file-relabel"})
    finally:
        virtsec("label", small.name)


@pytest.mark.stress
@pytest.mark.once
def test_under_load_it_neither_fails_nor_disturbs(vs1: Container, vs2: Container) -> None:
    """50 requests are under way to both all the time."""
    addresses = {container: container.address() for container in (vs1, vs2)}
    with ThreadPoolExecutor(51) as pool:
        attacking = pool.submit(verified, vs1.name, "--against", vs2.name)

        def ask(address: str) -> list[str]:
            pages = []
            while not attacking.done():
                with urlopen(f"http://{address}/", timeout=300) as answer:
                    pages.append(answer.read().decode())
            return pages

        asking = [
            (container, pool.submit(ask, address))
            for container, address in addresses.items()
            for _ in range(25)
        ]
        status, result = attacking.result()
        assert (status, broken(result)) == (0, {})
        for container, asked in asking:
            assert set(asked.result()) == {f"This is {container.name}.\n"}


@contextmanager
def let_in(lsm: Lsm, name: str) -> Iterator[None]:
    """Have `DEVICE` let in, by whoever has virsh."""
    device = (
        f"<hostdev mode='capabilities' type='misc'><source><char>{DEVICE}</char></source></hostdev>"
    )
    with libvirt_unrefused(lsm):
        virsh("attach-device", name, "/dev/stdin", "--live", stdin=device)
    try:
        yield
    finally:
        with libvirt_unrefused(lsm):
            virsh("detach-device", name, "/dev/stdin", "--live", stdin=device)


@contextmanager
def libvirt_unrefused(lsm: Lsm) -> Iterator[None]:
    """Debian's SELinux policy refuses libvirt to change the devices of what runs."""
    if lsm is Lsm.SELINUX:
        run("setenforce", "0")
    try:
        yield
    finally:
        if lsm is Lsm.SELINUX:
            run("setenforce", "1")


@contextmanager
def edited(name: str, *edits: str) -> Iterator[None]:
    """Have the definition of a container edited: pairs of a pattern and what it becomes."""
    virtsec("destroy", name, check=False)
    before = virsh("dumpxml", "--inactive", name).stdout
    after = before
    for pattern, replacement in zip(edits[::2], edits[1::2], strict=True):
        after, count = re.subn(pattern, replacement, after, flags=re.DOTALL)
        assert count, f"{pattern} changed nothing"
    virsh("define", "/dev/stdin", stdin=after)
    try:
        yield
    finally:
        virtsec("destroy", name, check=False)
        virsh("define", "/dev/stdin", stdin=before)


@contextmanager
def hook_skipped() -> Iterator[None]:
    """Have libvirt run a program that accepts everything in place of the hook."""
    run("mount", "--bind", "/usr/bin/true", HOOK)
    try:
        yield
    finally:
        run("umount", HOOK)


@contextmanager
def labelled_as(lsm: Lsm, name: str, other: str) -> Iterator[None]:
    """Have `name`, its tree and what it starts as carry the label of container `other`."""
    metadata = (r"<virtsec:label [^>]*>", label_of(other, r"<virtsec:label [^>]*>"))
    tree = f"/var/lib/virtsec/{name}/rootfs"
    if lsm is Lsm.SELINUX:
        seclabel = (r"<seclabel.*?</seclabel>", label_of(other, r"<seclabel.*?</seclabel>"))
        process = run("cat", f"/proc/{Container(other).init_pid()}/attr/current").stdout
        level = process.rstrip("\0\n").split(":", 3)[3]
        run("chcon", "-hR", f"system_u:object_r:{other}_file_t:{level}", tree)
        init = run("chroot", tree, "/bin/busybox", "readlink", "-f", "/sbin/init").stdout.strip()
        run("chcon", f"system_u:object_r:{other}_exec_t:{level}", f"{tree}{init}")
        with edited(name, *metadata, *seclabel):
            yield
        return
    run("find", tree, "-exec", "setfattr", "-h", "-n", "security.SMACK64", "-v", other, "{}", "+")
    own, place = Path(CONTROLLER).parent, Path("/usr/local/lib/labelled-otherwise")
    emulator = place / Path(CONTROLLER).name
    shutil.copytree(own, place)
    exchange(place / "confine.py", "        take_label(name)", f"        take_label({other!r})")
    exchange(emulator, f'"{own}"', f'"{place}"')
    try:
        with edited(
            name, *metadata, r"<emulator>.*?</emulator>", f"<emulator>{emulator}</emulator>"
        ):
            yield
    finally:
        shutil.rmtree(place)


def exchange(file: Path, old: str, new: str) -> None:
    """Exchange a text that is there once."""
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def label_of(name: str, pattern: str) -> str:
    """The element of its definition that the pattern matches."""
    found = re.search(pattern, virsh("dumpxml", "--inactive", name).stdout, flags=re.DOTALL)
    assert found
    return found[0]
