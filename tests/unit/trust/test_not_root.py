"""Whoever is not root gets one sentence of each command, and changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer.main

from virtsec.cli.app import app

#: Loads all there is, as the files may be root's alone; then is nobody, for each line of words.
AS_NOBODY = """
import importlib, io, json, os, pkgutil, sys
from pathlib import Path
import virtsec
from virtsec.cli import _import_typer
_import_typer()
for each in pkgutil.walk_packages(virtsec.__path__, "virtsec."):
    importlib.import_module(each.name)
from virtsec.cli.run import run
NOBODY = 65534
if os.geteuid() == 0:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
os.chdir("/")
for line in sys.stdin:
    out, err, to = io.StringIO(), io.StringIO(), (sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        status = run(json.loads(line))
    except BaseException as error:
        status = repr(error)
    finally:
        sys.stdout, sys.stderr = to
    print(json.dumps([status, out.getvalue(), err.getvalue()]), flush=True)
"""
Answer = tuple[int, str, str]  #: status, output, complaint

#: Every command, with the words it needs.
WORDS = {
    "setup": [],
    "protect": [],
    "define": ["vs1"],
    "start": ["vs1"],
    "shutdown": ["vs1"],
    "reboot": ["vs1"],
    "destroy": ["vs1"],
    "list": [],
    "info": ["vs1"],
    "logs": ["vs1"],
    "exec": ["vs1", "--", "true"],
    "shell": ["vs1"],
    "cp": ["/etc/hostname", "vs1:/tmp"],
    "link": ["vs1", "vs2", "--port", "80/tcp"],
    "unlink": ["vs1", "vs2"],
    "links": [],
    "verify": ["vs1"],
    "audit": [],
    "doctor": [],
    "console": ["vs1"],
    "set": ["vs1", "--memory", "1G"],
    "label": ["vs1"],
    "clone": ["vs1", "vs2"],
    "rename": ["vs1", "vs2"],
    "export": ["vs1", "/tmp/vs1.tar.zst"],
    "import": ["/tmp/vs1.tar.zst"],
    "adopt": ["vs1"],
    "release": ["vs1"],
    "undefine": ["vs1"],
    "base create": ["web", "--from", "/srv/debian.tar"],
    "base refresh": ["web", "--from", "/srv/debian.tar"],
    "base list": [],
    "base info": ["web"],
    "base remove": ["web"],
    "fleet plan": ["FLEET"],
    "fleet apply": ["FLEET"],
    "fleet destroy": ["FLEET"],
    "fleet diff": ["FLEET"],
    "fleet export": [],
    "policy show": ["vs1"],
    "policy diff": ["vs1"],
    "policy suggest": ["vs1"],
}
#: Words by which a command looks at more of the host.
MORE = {"define --base": ["web", "vs1"]}
#: These ask nothing of the host.
FOR_ANYBODY = {"fleet schema"}
NEEDS_ROOT = "error: virtsec works on the whole host and needs root.\nRun it with `sudo virtsec`.\n"


def commands() -> set[str]:
    """All commands there are, by name."""
    found = set()
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        beneath = getattr(command, "commands", None)
        found |= {name} if beneath is None else {f"{name} {each}" for each in beneath}
    return found


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """Status, output and complaint of each command that nobody gives."""
    fleet = tmp_path_factory.mktemp("fleet") / "fleet.yaml"
    fleet.write_text("version: 1\ncontainers: []\n")
    lines = []
    for command, words in (WORDS | MORE).items():
        said = [str(fleet) if word == "FLEET" else word for word in words]
        lines.append(json.dumps([*command.split(), *said]))
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return dict(zip(WORDS | MORE, map(json.loads, done.stdout.splitlines()), strict=True))


def test_no_command_is_forgotten() -> None:
    assert commands() == WORDS.keys() | FOR_ANYBODY


@pytest.mark.parametrize("command", WORDS | MORE)
def test_one_sentence_says_that_it_needs_root(command: str, answers: dict[str, Answer]) -> None:
    status, out, error = answers[command]
    if command == "doctor":  # whose whole answer is what is wrong with the host
        assert status == 1
        assert "virtsec works on the whole host and needs root." in out
        return
    assert (status, out) == (1, ""), error
    assert error == NEEDS_ROOT
