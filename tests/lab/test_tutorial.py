"""docs/tutorial.md is true: each of its commands, in order, prints what stands there."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from demo.containers import Container, load_policies
from demo.shell import run, stopped, virtsec
from machine.qemu import Lsm
from tutorial import Typed, difference, section

DOCUMENT = Path(__file__).parents[2] / "docs/tutorial.md"
TITLES = {Lsm.SELINUX: "Under SELinux", Lsm.SMACK: "Under Smack"}
#: What it makes: names, and whether they are privileged.
MADE = {"vs1": True, "vs2": False}
HANDED_IN = Path("/hostroot")

#: It makes vs1 and vs2 anew, so it comes after all others that use them.
pytestmark = [pytest.mark.after_reset, pytest.mark.once]


@pytest.fixture
def fresh() -> Iterator[None]:
    """A host that has nothing of what the tutorial makes."""
    clear()
    load_policies(MADE)  # both in one change of the policy, where they are to be loaded
    yield
    clear()


def clear() -> None:
    """Take away what the tutorial makes, as far as it is there."""
    there = [name for name in MADE if Container(name).record() is not None]
    for name in there:
        stopped(name)
    if there:
        virtsec("undefine", "--storage", *there)
    while HANDED_IN.is_mount():
        run("umount", "--lazy", str(HANDED_IN))
    if HANDED_IN.exists():
        HANDED_IN.rmdir()
    for key in Path("/root/.ssh").glob("vs2*"):
        key.unlink()


def printed(typed: Typed) -> str:
    """What a command of the tutorial prints.

    A plain command of virtsec's is run without starting Python anew, which would take longest.
    """
    words = shlex.split(typed.command, comments=False)
    if words[0] == "virtsec" and not {*words} & {"||", "&&", "|", "2>&1"}:
        done = virtsec(*words[1:], check=False)
        return done.stderr + done.stdout  # progress comes before the outcome
    return run("bash", "-c", f"({typed.command}\n) 2>&1", check=False).stdout


@pytest.mark.usefixtures("fresh")
def test_every_command_prints_what_the_tutorial_says(lsm: Lsm) -> None:
    unlike = []
    for typed in section(DOCUMENT.read_text("utf-8"), TITLES[lsm]):
        differs = difference(typed.output, printed(typed))
        if differs:
            unlike.append(f"line {typed.line}: {typed.command}\n{differs}")
    assert not unlike, "\n\n".join(unlike)
