"""Many at once: whoever is second gets a sentence, nobody waits for ever, and nothing is left."""

import json
import subprocess
from collections.abc import Callable, Iterator

import pytest
from demo.containers import ALIKE, BUSYBOX
from demo.shell import virsh, virtsec
from drawn import Chance
from traces import differences, seen

from virtsec.errors import BadInput, Failed, Refused

pytestmark = pytest.mark.once

NAMES = ("once-1", "once-2", "once-3")
PROCESSES = 8
COMMANDS = 4  # of each
#: Longer than all of them take one after another.
PATIENCE = 1200

SENTENCES = {0, Failed.exit_status, BadInput.exit_status, Refused.exit_status}


@pytest.fixture
def nothing() -> Iterator[None]:
    """None of the containers, before and after; and no trace of them."""
    virtsec("define", NAMES[0], "--from", str(BUSYBOX), *ALIKE)
    _clear()
    before = seen(*NAMES)
    yield
    _clear()
    assert differences(before, seen(*NAMES)) == []


def _clear() -> None:
    for name in set(NAMES) & set(virsh("list", "--all", "--name").stdout.split()):
        virtsec("undefine", name, "--storage")


def at_once(scripts: list[list[str]]) -> list[tuple[int, str]]:
    """Run each list of commands, one after another, all lists at once; what came of each command.

    They are the installed program: what it takes from the time it is called on is part of it.
    """
    shell = [" ; ".join(f"virtsec {each} ; echo @$?" for each in script) for script in scripts]
    running = [
        subprocess.Popen(
            ("sh", "-c", each), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for each in shell
    ]
    outcomes = []
    for each in running:
        said, _ = each.communicate(timeout=PATIENCE)
        *parts, rest = said.split("@")
        assert rest.strip().isdigit()
        texts = [parts[0], *(part.partition("\n")[2] for part in parts[1:])]
        statuses = [part.partition("\n")[0] for part in (*parts[1:], rest)]
        outcomes += [(int(status), text) for status, text in zip(statuses, texts, strict=True)]
    return outcomes


@pytest.mark.usefixtures("nothing")
def test_of_two_with_one_name_one_wins_and_the_other_gets_a_sentence() -> None:
    words = f"define {NAMES[0]} --from {BUSYBOX} {' '.join(ALIKE)}"
    (won, _), (lost, said) = sorted(at_once([[words], [words]]))
    assert (won, lost) == (0, BadInput.exit_status)
    assert f"{NAMES[0]}" in said
    assert "Traceback" not in said


@pytest.mark.stress
@pytest.mark.usefixtures("nothing")
def test_eight_on_the_same_names_neither_wait_for_ever_nor_leave_anything(
    chance: Chance, counted: Callable[[str], None]
) -> None:
    def command() -> str:
        name, other = chance.random.sample(NAMES, 2)
        return chance.random.choice(
            (
                f"define {name} --from {BUSYBOX} --memory 64M {' '.join(ALIKE)}",
                f"undefine {name} --storage",
                f"label {name}",
                f"link {name} {other} --port 22/tcp",
                f"unlink {name} {other}",
            )
        )

    outcomes = at_once([[command() for _ in range(COMMANDS)] for _ in range(PROCESSES)])
    assert len(outcomes) == PROCESSES * COMMANDS
    for status, said in outcomes:
        assert status in SENTENCES, said
        assert "Traceback" not in said
    assert any(status == 0 for status, _ in outcomes)
    done = sum(status == 0 for status, _ in outcomes)
    counted(f"{done} of {len(outcomes)} commands found what they needed, the others said so")
    checks = json.loads(virtsec("doctor", "--json", check=False).stdout)["checks"]
    assert [each for each in checks if each["subject"] in NAMES and not each["good"]] == []
