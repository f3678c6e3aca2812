"""libvirt's daemon is restarted: what runs goes on, and what was asked for is done or refused.

libvirt asks the hook at each container that it finds running again, and ends one that it refuses.
"""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import libvirtd
import pytest
from demo.containers import Small
from demo.shell import run, virsh
from drawn import Chance

pytestmark = pytest.mark.once

ROUNDS = 2
SECONDS = 6.0  #: a start takes about as long in an emulated guest


def again() -> None:
    """Restart the daemon, and wait until it answers."""
    libvirtd.restart()
    libvirtd.wait_until_it_answers()


def test_what_runs_goes_on_whatever_its_definition_became(small: Small) -> None:
    small.start()
    init = small.init_pid()
    definition = virsh("dumpxml", "--inactive", small.name).stdout
    weakened = definition.replace("<capabilities policy='deny'>", "<capabilities policy='allow'>")
    assert weakened != definition
    virsh("define", "/dev/stdin", stdin=weakened)
    try:
        again()
        assert small.init_pid() == init
        assert small.confined()
        small.inside("true")
        small.stop()
        assert "virtsec: " in virsh("start", small.name, check=False).stderr
    finally:
        virsh("define", "/dev/stdin", stdin=definition)
    small.start()


def test_it_goes_on_where_the_hook_cannot_run(small: Small) -> None:
    small.start()
    init = small.init_pid()
    modules = Path("/usr/libexec/virtsec/judgement.py")
    away = modules.with_suffix(".away")
    modules.rename(away)
    try:
        again()
        assert small.init_pid() == init
        assert small.running()
        small.stop()
        assert "the hook failed" in virsh("start", small.name, check=False).stderr
    finally:
        away.rename(modules)
        small.start()


@pytest.mark.stress
def test_a_start_that_it_cuts_off_is_done_or_refused_and_can_be_made_again(
    small: Small, chance: Chance, counted: Callable[[str], None]
) -> None:
    done = 0
    for _ in range(ROUNDS):
        small.stop()
        starting = subprocess.Popen(
            ("virtsec", "start", small.name),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        time.sleep(chance.random.uniform(0, SECONDS))
        run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", libvirtd.UNIT)
        _, said = starting.communicate(timeout=300)
        assert starting.returncode in (0, 1), said
        assert "Traceback" not in said
        done += starting.returncode == 0
        libvirtd.wait_until_it_answers()
        small.start()
        assert small.confined()
    counted(f"libvirtd was killed at {ROUNDS} moments of a start; {done} were done all the same")
