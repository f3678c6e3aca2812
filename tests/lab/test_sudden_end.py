"""The host loses power while containers on one base write: all start again, and the base is whole.

The last test before the guest is reset leaves them writing, and a container on its way to another
generation of the base; the others come after it.
"""

import hashlib
import json
import os
from pathlib import Path

import pytest
from demo.containers import ALIKE, BUSYBOX, Small, prepare
from demo.shell import virtsec
from inodes import inodes
from killed import killed_before

from virtsec.commands.bases import follow
from virtsec.commands.host import open_host
from virtsec.step import Silent

pytestmark = pytest.mark.once

BASE, TREE = "powered", Path("/var/lib/virtsec/_bases/powered/1/tree")
NAMES = [f"powered-{number}" for number in range(3)]
#: What the base was, on the disk when power fails.
SUM = Path("/var/lib/base-was")
WRITE = """
sync; i=0
while :; do
  i=$((i+1)); echo $i >/etc/new$((i%9)); cp /etc/passwd /srv$((i%7)); mv /srv$((i%7)) /root/$i
done >/dev/null 2>&1 &
"""


def content() -> str:
    """All that is to be seen of the base."""
    lines = []
    for path, about in sorted(inodes(TREE).items()):
        plain = path.is_file() and not path.is_symlink()
        lines.append(f"{path} {about} {path.read_bytes() if plain else b''!r}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.before_reset
def test_containers_on_one_base_write() -> None:
    prepare()
    virtsec("base", "create", BASE, "--from", str(BUSYBOX))
    for name in NAMES:
        each = Small(name)
        virtsec("define", name, "--base", BASE, *ALIKE)
        each.start()
        each.inside(f"echo {name} >/etc/kept")
    virtsec("base", "refresh", BASE, "--from", str(BUSYBOX))
    SUM.write_text(content())
    leaving = Small(NAMES[-1])
    leaving.stop()
    killed_before("TakePlace", lambda watch: follow(leaving.name, open_host(Silent()), watch))
    os.sync()
    for name in NAMES[:-1]:
        Small(name).inside(WRITE)


@pytest.mark.after_reset
def test_the_base_is_what_it_was() -> None:
    assert content() == SUM.read_text()


@pytest.mark.after_reset
def test_all_start_confined_with_what_they_had() -> None:
    virtsec("start", "--follow", NAMES[-1])
    for name in NAMES:
        each = Small(name)
        each.start()
        assert each.confined()
        assert each.inside("cat /etc/kept").stdout == f"{name}\n"
        each.inside("echo more >>/etc/kept; rm -r /root; find / -xdev >/dev/null")
    assert content() == SUM.read_text()


@pytest.mark.after_reset
def test_nothing_is_wrong_and_nothing_is_left() -> None:
    found = json.loads(virtsec("doctor", "--json", check=False).stdout)
    assert {each["subject"] for each in found["checks"]} >= set(NAMES)
    assert [each for each in found["checks"] if each["subject"] in NAMES and not each["good"]] == []
    for name in NAMES:
        Small(name).stop()
    virtsec("undefine", "--storage", *NAMES)
    virtsec("base", "remove", BASE)
    store = Path("/var/lib/virtsec")
    assert [
        each.name for each in store.iterdir() if each.name.startswith(("powered", "_layer"))
    ] == []
