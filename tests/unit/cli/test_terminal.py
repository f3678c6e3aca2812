"""What depends on the terminal and the shell: progress, console, completion."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.unit.cli.library import Library, Said
from virtsec.cli import complete
from virtsec.cli.interrupt import signals_interrupt
from virtsec.cli.output import Output
from virtsec.cli.progress import Lines, progress_for
from virtsec.errors import HostNotReady
from virtsec.step import Silent

Virtsec = Callable[..., Said]
TREE = Path(__file__).parents[3]


def test_without_a_terminal_each_stage_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    progress = progress_for(Output())
    assert isinstance(progress, Lines)
    for _ in range(2):
        progress.begin("label /srv/vs1", 3)
        progress.advance()
        progress.advance(2)
        progress.end()
    assert capsys.readouterr().err == "  label /srv/vs1: 3 done\n" * 2


def test_with_json_and_without_a_terminal_there_is_no_progress() -> None:
    output = Output()
    output.json = True
    assert isinstance(progress_for(output), Silent)


def test_a_stage_within_another_is_counted_for_itself(capsys: pytest.CaptureFixture[str]) -> None:
    progress = progress_for(Output())
    progress.begin("make containers", 2)
    progress.advance()
    progress.begin("label /srv/vs1", None)
    progress.advance(7)
    progress.end()
    progress.advance()
    progress.end()
    progress.advance()
    assert capsys.readouterr().err == "  label /srv/vs1: 7 done\n  make containers: 2 done\n"


def on_a_terminal(code: str, **environment: str) -> str:
    """What `code` writes to a terminal on standard error."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=TREE,
        stderr=follower,
        env={"TERM": "xterm", "LANG": "C.UTF-8", **environment},
    ) as child:
        os.close(follower)
        written = b""
        try:
            while part := os.read(leader, 4096):
                written += part
        except OSError:  # Linux ends the reading of a terminal without a writer like this
            pass
    os.close(leader)
    assert child.returncode == 0
    return written.decode()


BAR = (
    "from virtsec.cli.run import _prepare_streams; _prepare_streams();"
    "from virtsec.cli.output import Output; from virtsec.cli.progress import progress_for;"
    "p = progress_for(Output()); p.begin('label [/srv/vs1]', 1000);"
    "[p.advance() for _ in range(999)]; p.end(); p.begin('again', None); p.end()"
)


def test_on_a_terminal_there_is_a_bar() -> None:
    written = on_a_terminal(BAR)
    assert "label [/srv/vs1]" in written
    assert "999/1000" in written


TWO_BARS = """
from time import sleep
from virtsec.cli.output import Output
from virtsec.cli.progress import progress_for
bar = progress_for(Output())
for _ in range(2):
    bar.begin("make containers", 10)
    bar.begin("label /srv/vs1", 10)
    bar.advance(9)
    sleep(0.5)
    bar.end()
    bar.advance(3)
    bar.end()
    bar.advance()
"""


def test_a_stage_within_another_has_a_bar_of_its_own() -> None:
    written = on_a_terminal(TWO_BARS)
    for shown in ("make containers", "label /srv/vs1", "9/10", "3/10"):
        assert shown in written


SEVERAL = """
import os
from virtsec.cli.output import Output
from virtsec.cli.session import watcher
from types import SimpleNamespace
watch = watcher(Output())
watch(0, SimpleNamespace(describe=lambda: "here"))
if os.fork():
    os.wait()
else:
    watch(0, SimpleNamespace(describe=lambda: "there"))
"""


def test_what_several_processes_do_is_shown_by_a_bar_on_a_terminal_and_by_lines_elsewhere() -> None:
    written = on_a_terminal(SEVERAL)
    assert "- here" in written
    assert "- there" not in written
    elsewhere = (sys.executable, "-c", SEVERAL)
    told = subprocess.run(elsewhere, cwd=TREE, check=True, capture_output=True, text=True).stderr
    assert told.splitlines() == ["- here", "- there"]


@pytest.mark.parametrize(
    "environment", [{"COLUMNS": "20"}, {"NO_COLOR": "1"}, {"LC_ALL": "C"}, {"TERM": "dumb"}]
)
def test_the_bar_does_with_narrow_and_plain_terminals(environment: dict[str, str]) -> None:
    written = on_a_terminal(BAR, **environment)
    if "LC_ALL" in environment:
        assert written.isascii()
    if "NO_COLOR" in environment:
        assert "\x1b[3" not in written


def test_console_becomes_virshs(
    virtsec: Virtsec, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.active = True
    became: list[list[str]] = []
    monkeypatch.setattr(os, "execve", lambda _path, words, _environment: became.append([*words]))
    assert virtsec("console", "vs1").status == 0
    assert became == [["/usr/bin/virsh", "-c", "lxc:///", "console", "--", "vs1"]]


def test_console_of_a_container_that_does_not_run_says_how_to_start_it(virtsec: Virtsec) -> None:
    said = virtsec("console", "vs1")
    assert said == Said(1, "", "error: vs1 does not run.\nStart it first: `virtsec start vs1`.\n")


def test_completion_offers_what_the_command_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect() -> Any:
        return SimpleNamespace(
            domains=lambda xml: [
                SimpleNamespace(name="vs1", active=True),
                SimpleNamespace(name="vs2", active=False),
                SimpleNamespace(name="other", active=True),
            ],
            networks=lambda: {"default": None, "lan": None},
        )

    monkeypatch.setattr("virtsec.domain.connection.Libvirt.connect", connect)
    assert complete.containers("vs") == ["vs1", "vs2"]
    assert complete.running("vs") == ["vs1"]
    assert complete.inactive("") == ["vs2"]
    assert complete.networks("d") == ["default"]
    assert complete.init_policies("p") == ["pristine"]


def test_completion_is_silent_without_libvirt(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def connect() -> Any:
        raise HostNotReady("libvirt cannot be reached.")

    monkeypatch.setattr("virtsec.domain.connection.Libvirt.connect", connect)
    assert complete.containers("") == complete.networks("") == []
    assert capfd.readouterr() == ("", "")


def test_bash_asks_for_commands_and_gets_them() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from virtsec.cli import main; main()"],
        cwd=TREE,
        env={
            "_VIRTSEC_COMPLETE": "complete_bash",
            "COMP_WORDS": "virtsec st",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["start"]
    assert done.stderr == ""


def test_a_hangup_ignored_by_nohup_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_interrupt():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
