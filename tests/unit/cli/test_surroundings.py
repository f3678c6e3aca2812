"""Where the command line is read: on narrow terminals, without colours, in C, and in a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

TREE = Path(__file__).parents[3]
PROGRAM = (sys.executable, "-m", "tests.unit.cli.pretending")
LABEL = "system_u:system_r:vs3_t:s0:c1,c2"
#: What each says wherever it is read.
SAYS = {
    ("list", "--all"): ("vs3", "confined", "theirs", "foreign", "192.168.122.10"),
    ("info", "vs3"): ("Confinement:   confined", LABEL, "4243"),
    ("doctor",): ("vs3:", "Its definition is what virtsec made of it.", "are wrong."),
    ("verify", "--list"): ("host-file-read", "Root inside tries to"),
    ("--help",): ("Usage: virtsec", "Commands:", "undefine"),
    ("fleet", "--help"): ("Example: virtsec fleet plan fleet.yaml", "destroy"),
    ("define", "--help"): ("--from TREE|TAR|debian:SUITE", "Example: virtsec define"),
}
EVERY = pytest.mark.parametrize("words", SAYS, ids=" ".join)


def on_a_terminal(words: tuple[str, ...], columns: int = 80, **environment: str) -> str:
    """What is written to a terminal that is so wide."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen(
        [*PROGRAM, *words],
        cwd=TREE,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={"TERM": "xterm", "LANG": "C.UTF-8", **environment},
    ):
        os.close(follower)
        written = b""
        try:
            while part := os.read(leader, 4096):
                written += part
        except OSError:  # Linux ends the reading of a terminal without a writer like this
            pass
    os.close(leader)
    return written.decode().replace("\r\n", "\n")


def in_a_pipe(words: tuple[str, ...], **environment: str) -> str:
    """What is written where there is no terminal."""
    done = subprocess.run(
        [*PROGRAM, *words],
        cwd=TREE,
        env={"LANG": "C.UTF-8", **environment},
        capture_output=True,
        check=False,
    )
    assert done.stderr == b""
    return done.stdout.decode()


def lacking(words: tuple[str, ...], text: str) -> list[str]:
    """What should be in a text and is not, styles aside."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return [each for each in SAYS[words] if each not in plain]


@EVERY
def test_in_a_pipe_it_is_plain_and_whole_whatever_else_is_said(words: tuple[str, ...]) -> None:
    text = in_a_pipe(words, FORCE_COLOR="1", COLUMNS="40")
    assert lacking(words, text) == []
    assert "\x1b" not in text
    assert "Traceback" not in text


@EVERY
def test_in_the_c_locale_it_is_ascii_without_escapes(words: tuple[str, ...]) -> None:
    for text in (in_a_pipe(words, LC_ALL="C"), on_a_terminal(words, LC_ALL="C")):
        assert lacking(words, text) == []
        assert text.isascii()
        assert "\\u" not in text


@EVERY
def test_without_colours_it_has_none(words: tuple[str, ...]) -> None:
    text = on_a_terminal(words, NO_COLOR="1")
    assert lacking(words, text) == []
    assert not re.search(r"\x1b\[[0-9;]*[349][0-7]", text)


@EVERY
def test_on_a_narrow_terminal_no_name_and_no_label_is_cut_to_bits(words: tuple[str, ...]) -> None:
    text = on_a_terminal(words, 40)
    assert lacking(words, text) == []


@pytest.mark.parametrize("words", [("--help",), ("define", "--help"), ("fleet", "--help")])
@pytest.mark.parametrize("columns", [40, 60, 80])
def test_help_is_as_narrow_as_the_terminal_but_for_what_is_to_be_copied(
    words: tuple[str, ...], columns: int
) -> None:
    lines = on_a_terminal(words, columns).splitlines()
    wide = [each for each in lines if len(each) > columns]
    assert [each for each in wide if not each.startswith("  Example: ")] == []
    assert max(map(len, lines)) > columns - 20, "it is narrower than it need be"


@pytest.mark.parametrize("group", ["", "base", "fleet", "policy"])
def test_no_summary_is_cut_off(group: str) -> None:
    words = ("--help",) if not group else (group, "--help")
    listed = on_a_terminal(words, 40).partition("Commands:")[2]
    assert listed
    assert "..." not in listed


def test_a_list_is_a_table_where_there_is_room_and_a_line_for_each_thing_where_there_is_none() -> (
    None
):
    wide, narrow = (on_a_terminal(("list", "--all"), n, NO_COLOR="1") for n in (120, 40))
    assert len(wide.splitlines()) == 3
    assert "vs3\n  State: running\n  Confinement: confined\n  Kind: unprivileged\n" in narrow
    assert f"  Label: {LABEL}\n" in narrow


@pytest.mark.parametrize(
    ("words", "closed", "status"),
    [
        (("list", "--json"), ">&-", 0),
        (("--version",), ">&-", 0),
        (("--help",), "<&- >&-", 0),
        (("info", "nope"), "2>&-", 2),
        (("list",), "<&- >&- 2>&-", 0),
        (("info", "nope", "--json"), "<&- >&- 2>&-", 2),
    ],
)
def test_a_stream_that_is_closed_is_one_that_nobody_reads(
    words: tuple[str, ...], closed: str, status: int
) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *PROGRAM, *words],
        cwd=TREE,
        env={"LANG": "C.UTF-8"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (status, b"")
