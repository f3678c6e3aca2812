#!/usr/bin/python3
"""README's picture: what `virtsec verify` shows of its own container, and of one without virtsec.

Runs as root in a guest of the laboratory (`make picture`) and writes an SVG. The second container
is one that libvirt starts as it comes. `virtsec verify` takes only what virtsec made, so what is
behind the command is called for it; it attacks and shows both alike.
"""

import io
import re
import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from demo.containers import Container, Control, controls, let_controls_start, prepare
from demo.shell import wait_for
from virtsec.attacks.proof import Side
from virtsec.attacks.verified import Verified
from virtsec.cli.proofs import summary, table
from virtsec.commands.host import open_host
from virtsec.commands.live import init_pid
from virtsec.commands.verifying import attacked, host_side, list_attacks, side_of, verify
from virtsec.enter.door import Target
from virtsec.runtime.confinement import started
from virtsec.step import Host, Silent

WIDTH = 116
#: What is shown of all that is attacked, from each group what needs the least explaining.
SHOWN = (
    *(
        "host-file-read",
        "host-file-exec",
        "host-file-create",
        "other-file-read",
        "other-file-write",
    ),
    *("host-task-kill", "host-task-ptrace", "other-task-kill", "other-task-peek"),
    *("raise", "bpf", "open-disk", "core-pattern", "cgroup-of-host", "mount-debugfs"),
    *("host-pty", "host-shm", "other-pty", "other-shm"),
)
#: Without an interface it would have nothing but a loopback to attack from.
NETWORK = "<interface type='network'><source network='default'/></interface>"
#: libvirt leaves its containers in the host's cgroup namespace, and nothing of virtsec's enters
#: such a one: so its init leaves that first.
INIT = "exec unshare --cgroup sleep 1d"


def own_cgroups(pid: int | None) -> bool:
    """Whether a process sees no cgroups but its own."""
    return bool(pid) and not Path(f"/proc/{pid}/ns/cgroup").samefile("/proc/self/ns/cgroup")


def plain_side(control: Control, controller: int, host: Host) -> Side:
    """The container that virtsec did not make, as its attackers need to know it."""
    wait_for(f"init of {control.name}", lambda: own_cgroups(init_pid(controller)))
    pid = init_pid(controller)
    label = host.mac.process_label(pid) if pid else None
    assert pid
    assert label
    # Of what attacks only the label of files is looked at: the host's, for want of one of its own.
    ours = host_side(host)
    target = Target(pid, started(pid), host.mac.model, label)
    return Side(control.name, target, ours.marks, ours.file_label, 0)


def main() -> int:
    """Attack both, and write the picture to standard output; returns the exit status."""
    prepare()
    vs1, vs2 = Container("vs1"), Container("vs2")
    for container in (vs1, vs2):
        container.define()
        container.start()
    host = open_host(Silent())
    confined = verify(vs1.name, host, vs2.name)
    let_controls_start()
    control = replace(controls("")[0], devices=NETWORK)
    with control.running(INIT) as controller:
        side = plain_side(control, controller, host)
        plain = attacked(side, side_of(vs2.name, host), host, list_attacks())
    if not confined.held or plain.held:
        print(summary(confined), summary(plain), sep="\n")
        return 1
    # Nothing else: a guest has one stream for both, and a word after its end breaks an SVG.
    sys.stdout.write(picture(confined, plain))
    return 0


def picture(confined: Verified, plain: Verified) -> str:
    """Both outcomes one beneath the other as an SVG; only rows are left out."""
    console = Console(
        file=io.StringIO(), record=True, width=WIDTH, highlight=False, markup=False, emoji=False,
        force_terminal=True,
    )  # fmt: skip
    for title, found in (
        ("# virtsec verify vs1 --against vs2", confined),
        ("The same attacks from a container that libvirt starts without virtsec", plain),
    ):
        rows = tuple(each for each in found.results if each.id in SHOWN)
        console.print(Text(title, style="bold cyan"))
        console.print(table(replace(found, results=rows)))
        console.print(f"  … {len(found.results) - len(rows)} more", style="dim")
        console.print(summary(found))
        console.print()
    svg = console.export_svg(title=f"{confined.model} on Linux {confined.kernel}")
    # Whoever looks at it need not fetch anything from anywhere.
    return re.sub(r"\s*@font-face \{[^}]*\}", "", svg)


if __name__ == "__main__":
    sys.exit(main())
