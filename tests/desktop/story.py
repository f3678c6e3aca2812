"""What a user does in virt-manager with a container of virtsec's, and with a foreign one.

    python3 -m tests.desktop.story URI OURS THEIRS MIB PICTURE

Both are looked at; ours gets so much memory, is started, pictured, and forced off. Needs a display
and a session bus. Exit status 1 when anything is not as it should be, which is said.
"""

from __future__ import annotations

import subprocess
import sys

from tests.desktop.at_spi import NotSeen, Thing, begin, picture, program, wait_for

PROGRAM = "virt-manager"
#: Where the list of domains ends and the window of one begins.
WIDTH = 560


def place(title: str, x: int) -> None:
    """Have the window of that title stand there: nobody else manages windows here."""
    subprocess.run(
        ["xdotool", "search", "--sync", "--name", title, "windowmove", str(x), "0"],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def opened(manager: Thing, name: str) -> Thing:
    """The window of a domain, with its details."""
    manager.find("table cell", name).click(times=2)
    window = program(PROGRAM).find("frame", f"{name} on ")
    place(f"^{name} on ", WIDTH)
    window.find("radio button", "Details").press()
    window.find("table cell", "Overview").click()
    window.says("Hypervisor Details")
    print(f"{name}: its details are shown", flush=True)
    return window


def give_memory(window: Thing, mib: int) -> None:
    """Have it be that much, as most and as now."""
    window.find("table cell", "Memory").click()
    for which in ("Max Memory Select", "Memory Select"):
        window.find("spin button", which).put(mib)
    apply = window.find("push button", "config-apply")
    apply.press()
    wait_for("end of applying", lambda: not apply.usable)
    print(f"its memory is {mib} MiB", flush=True)


def run(ours: str, theirs: str, mib: int, path: str) -> None:
    """The story. Raises `NotSeen`."""
    manager = program(PROGRAM).find("frame", "Virtual Machine Manager")
    other = opened(manager, theirs)
    other.find("menu item", "Close", shown=False).press()
    window = opened(manager, ours)
    give_memory(window, mib)
    window.find("push button", "Run").press()
    window.find("table cell", "Overview").click()
    window.says("Running")
    print(f"{ours} runs", flush=True)
    window.find("table cell", "Memory").click()
    window.find("spin button", "Memory Select")
    picture(path)
    # By the mouse: an action is not over before its question is answered.
    window.find("toggle button", "Menu").click()
    program(PROGRAM).find("menu item", "Force Off").click()
    program(PROGRAM).find("alert", "").find("push button", "Yes").press()
    window.find("table cell", "Overview").click()
    window.says("Shutoff")
    print(f"{ours} is off", flush=True)


def main(uri: str, ours: str, theirs: str, mib: str, path: str) -> int:
    """Start virt-manager, and end it again."""
    begin()
    started = subprocess.Popen([PROGRAM, "--no-fork", "--connect", uri])
    try:
        run(ours, theirs, int(mib), path)
    except NotSeen as error:
        picture(f"{path}.failed.png")
        print(f"virt-manager shows {error}", file=sys.stderr)
        return 1
    finally:
        started.terminate()
        started.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
