"""verify: each attack is seen to succeed without defences, and refused by virtsec's containers."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from demo.containers import Container
from demo.shell import run, virtsec, wait_for
from machine.qemu import Lsm
from proving import proven
from verified import broken, verified

from virtsec.attacks.proven import PLACE


@pytest.mark.stress
@pytest.mark.once
def test_what_refuses_each_attack_is_as_the_package_says(
    vs1: Container, vs2: Container, vs3: Container, lsm: Lsm
) -> None:
    """With no defence at all each of them succeeds; then each defence is taken on alone."""
    measured = proven(vs1.name, vs3.name, vs2.name)
    said = json.loads(PLACE.read_text())[lsm.value]
    assert measured.keys() == said.keys()
    for kind, attacks in measured.items():
        otherwise = {
            identity: f"{said[kind].get(identity)}, measured {attacks.get(identity)}"
            for identity in attacks | said[kind]
            if attacks.get(identity) != said[kind].get(identity)
        }
        assert otherwise == {}, kind
    assert all(len(attacks) >= 60 for attacks in measured.values())


def test_an_unprivileged_container_holds(vs1: Container, vs2: Container) -> None:
    status, result = verified(vs1.name, "--against", vs2.name)
    assert (status, broken(result)) == (0, {})
    assert result["held"]
    # What cannot be tried is no failure: this tells when it is more than it ever was, 18 of 168.
    assert result["counts"]["held"] >= 140
    held = [each for each in result["results"] if each["verdict"] == "held"]
    assert all(each["refused_by"] for each in held)


def test_a_timer_or_another_unit_of_the_host_verifies_and_enters(
    vs1: Container, tmp_path: Path
) -> None:
    """What administrators have systemd do is not in the domain of their own login."""
    said = tmp_path / "said"
    unit = ("systemd-run", "--quiet", "--wait", "-p", f"StandardOutput=truncate:{said}", "virtsec")
    run(*unit, "verify", vs1.name, "--only", "host-file-read")
    assert ": 1 held." in said.read_text()
    run(*unit, "exec", vs1.name, "cat", "/proc/self/attr/current")
    assert said.read_text().rstrip("\0\n") == vs1.info()["label"]["process"]


@pytest.mark.once
def test_nothing_is_left_behind_by_one_that_is_killed(vs1: Container, vs2: Container) -> None:
    before = traces()
    for seconds in (0, 1, 2):  # of its work, before which it imports for about as long
        words = ["virtsec", "verify", vs1.name, "--against", vs2.name]
        attacking = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("its first trace", lambda: traces() - before)
        time.sleep(seconds)
        attacking.send_signal(signal.SIGKILL)
        assert attacking.wait() == -signal.SIGKILL
        for _ in range(30):
            if traces() == before:
                break
            time.sleep(1)
        assert traces() == before


def traces() -> set[str]:
    """What verify could leave: actors, abstract sockets, shared memory, mounts, files."""
    actors = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"virtsec.attacks.actor" in (process / "cmdline").read_bytes():
                actors.add(process.name)
        except OSError:
            continue
    sockets = {line for line in Path("/proc/net/unix").read_text().split() if "verify" in line}
    memory = set(run("ipcs", "-m").stdout.splitlines()[3:])
    mounts = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    files = {f"{place}/{name}" for place in ("/tmp", "/var/tmp") for name in os.listdir(place)}
    return actors | sockets | memory | mounts | files


@pytest.mark.once
def test_its_report_stands_alone(vs1: Container, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    virtsec("verify", vs1.name, "--only", "host-file-read", "--report", str(report))
    text = report.read_text()
    assert "read a key of the host" in text
    assert "EACCES" in text


@pytest.mark.once
@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("nobody",), 2, "There is no domain nobody."),
        ((), 2, "Which container is to be verified?"),
        (("vs1", "--only", "xyz"), 2, "There is no attack xyz."),
        (("vs1", "--against", "vs1"), 2, "vs1 cannot be attacked from itself."),
    ],
)
def test_bad_input_is_one_sentence(
    words: tuple[str, ...], status: int, sentence: str, vs1: Container
) -> None:
    done = virtsec("verify", *words, check=False)
    assert done.returncode == status
    assert sentence in done.stderr
