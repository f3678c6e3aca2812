"""What people read: results, errors, warnings, help."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.library import Library, Said
from virtsec import __version__
from virtsec.cli.app import app, app_for
from virtsec.cli.output import Output, coloured
from virtsec.cli.run import run
from virtsec.errors import BadInput, Failed, HostNotReady, Refused
from virtsec.mac.protocol import Enforcement

Virtsec = Callable[..., Said]
COMMANDS = [
    *("setup", "protect", "define", "start", "shutdown", "reboot", "destroy"),
    *(
        "list",
        "info",
        "logs",
        "exec",
        "shell",
        "cp",
        "link",
        "unlink",
        "links",
        "verify",
        "audit",
        "doctor",
        "console",
    ),
    *("set", "label", "clone", "rename", "export", "import", "adopt", "release"),
    *("undefine", "base", "fleet", "policy"),
]
#: What they print is somebody else's.
PASSED_THROUGH = ("logs", "exec", "shell", "console")
#: Those that only have commands of their own.
GROUPS = {
    "base": ("create", "refresh", "list", "info", "remove"),
    "fleet": ("plan", "apply", "destroy", "diff", "export", "schema"),
    "policy": ("show", "diff", "suggest"),
}
TREE = Path(__file__).parents[3]


def test_help_lists_every_command(virtsec: Virtsec) -> None:
    said = virtsec("--help")
    assert said.status == 0
    listed = [line.split()[0] for line in said.out.split("Commands:")[1].splitlines() if line]
    assert listed == COMMANDS
    assert "..." not in said.out.split("Commands:")[1], "a summary is cut off"


@pytest.mark.parametrize("name", ["list", "fleet"])
def test_of_all_commands_the_one_that_is_meant_is_built_alone(name: str) -> None:
    alone = app_for(["--json", name, "info", "--help"])
    commands = [each.name for each in alone.registered_commands]
    assert [*commands, *(each.name for each in alone.registered_groups)] == [name]
    for words in ([], ["--help"], ["nonsense", name]):
        assert app_for(words) is app


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in (*PASSED_THROUGH, *GROUPS)])
def test_every_command_that_prints_has_json(virtsec: Virtsec, command: str) -> None:
    assert "--json" in virtsec(command, "--help").out


@pytest.mark.parametrize(("group", "command"), [(g, c) for g in GROUPS for c in GROUPS[g]])
def test_every_command_within_another_has_json(virtsec: Virtsec, group: str, command: str) -> None:
    said = virtsec(group, command, "--help")
    assert said.status == 0
    assert "--json" in said.out


def test_help_needs_neither_libvirt_nor_lxml_nor_rich(tmp_path: Path) -> None:
    code = """
import sys
sys.argv = ["virtsec", "--help"]
from virtsec.cli import main
try:
    main()
finally:
    unwanted = {"libvirt", "lxml", "rich", "pygments", "virtsec.host.setup", "virtsec.plans.define"}
    print(*sorted(unwanted & set(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=TREE, capture_output=True, text=True, check=True
    )
    assert done.stderr.strip() == ""


def test_alone_on_a_host_that_is_not_set_up_it_says_the_next_command(
    virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("virtsec.host.checks.installed", lambda _places: False)
    said = virtsec()
    assert said.status == 0
    assert "Next: virtsec setup" in said.out
    assert virtsec("--json").json == {"installed": False, "next": "virtsec setup"}


def test_alone_on_a_host_that_is_set_up_it_says_how_to_go_on(
    virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("virtsec.host.checks.installed", lambda _places: True)
    assert "Next: virtsec define vs1" in virtsec().out


def test_it_says_which_version_it_is_whatever_else_is_asked(virtsec: Virtsec) -> None:
    assert virtsec("--version").out == f"virtsec {__version__}\n"
    assert virtsec("--version", "list").out == f"virtsec {__version__}\n"
    assert virtsec("--version", "--json").json == {"version": __version__}


def test_define_says_what_was_made_and_what_comes_next(virtsec: Virtsec) -> None:
    said = virtsec("define", "vs1")
    assert said.status == 0
    assert "Defined vs1, unprivileged, with its root in /var/lib/virtsec/vs1/rootfs." in said.out
    assert "vs1_t" in said.out
    assert said.out.endswith("Next: virtsec start vs1\n")


@pytest.mark.parametrize(
    ("error", "status"),
    [(Failed("It broke.", "Mend it."), 1), (BadInput("No.", "Yes."), 2), (Refused("No.", "R."), 3)],
)
def test_an_error_is_a_sentence_a_remedy_and_a_status(
    virtsec: Virtsec, library: Library, error: Any, status: int
) -> None:
    library.failure = error
    said = virtsec("info", "vs1")
    assert said == Said(status, "", f"error: {error.sentence}\n{error.remedy}\n")


def test_with_json_an_error_is_the_document_on_standard_output(
    virtsec: Virtsec, library: Library
) -> None:
    library.failure = Refused("No.", "Do this.")
    library.failure.add_note("Could not undo 'make /x'.")
    said = virtsec("info", "vs1", "--json")
    assert said.status == 3
    assert said.err == ""
    assert said.json == {
        "error": {
            "sentence": "No.",
            "remedy": "Do this.",
            "status": 3,
            "notes": ["Could not undo 'make /x'."],
        }
    }


def test_what_could_not_be_undone_is_told(virtsec: Virtsec, library: Library) -> None:
    library.failure = Failed("It broke.")
    library.failure.add_note("Could not undo 'make /x'.")
    assert virtsec("info", "vs1").err == "error: It broke.\nCould not undo 'make /x'.\n"


@pytest.mark.parametrize(
    "words",
    [
        ("frobnicate",),
        ("define",),
        ("list", "--wrong"),
        ("define", "vs1", "--vcpus", "many"),
        ("define", "vs1", "--memory", "lots"),
        ("define", "vs1", "--mount", "a:b"),
        ("define", "vs1", "--address", "10.0.0.1"),
        ("define", "vs1", "--gateway", "router"),
        ("define", "vs1", "--init-policy", "none"),
        ("define", "vs1", "--network", "a", "--bridge", "b"),
        ("define", "vs1", "--no-network", "--address", "10.0.0.1/8"),
        ("define", "Not_A_Name"),
    ],
)
def test_words_that_make_no_sense_are_status_2_and_reach_nothing(
    virtsec: Virtsec, library: Library, words: tuple[str, ...]
) -> None:
    said = virtsec(*words)
    assert said.status == 2
    assert said.out == ""
    first, second = said.err.splitlines()
    assert first.startswith("error: ")
    assert second
    assert library.asked == []
    assert "sentence" in virtsec(*words, "--json").json["error"]


def test_a_host_that_is_not_ready_says_so_for_each_command(
    virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unready(_progress: Any = None) -> None:
        raise HostNotReady("virtsec needs root.", "Run it with sudo.")

    monkeypatch.setattr("virtsec.commands.host.open_host", unready)
    for words in (("list",), ("start", "vs1"), ("setup",), ("console", "vs1")):
        assert virtsec(*words) == Said(1, "", "error: virtsec needs root.\nRun it with sudo.\n")


@pytest.mark.parametrize("words", [("list",), ("info", "vs1"), ("define", "vs1"), ("start", "vs1")])
def test_permissive_mode_works_and_says_loudly_that_nothing_is_enforced(
    virtsec: Virtsec, library: Library, words: tuple[str, ...]
) -> None:
    library.enforcement = Enforcement.PERMISSIVE
    said = virtsec(*words)
    assert said.status == 0
    assert said.err.startswith("warning: SELinux is permissive")
    assert "no container is confined" in said.err


def test_a_system_error_is_one_sentence(virtsec: Virtsec, library: Library) -> None:
    library.failure = PermissionError(13, "Permission denied", "/srv/x")
    assert virtsec("label", "vs1").err == "error: The system refused: /srv/x: Permission denied.\n"


def test_names_of_others_cannot_drive_the_terminal(virtsec: Virtsec) -> None:
    out = virtsec("list", "--all").out
    assert "\x1b" not in out
    assert "evil\\x1b[31m" in out


def test_a_list_that_is_piped_is_plain_and_whole(virtsec: Virtsec) -> None:
    title, vs1, _ = virtsec("list", "--all").out.splitlines()
    assert title.split() == ["Name", "State", "Confinement", "Kind", "Label", "Addresses"]
    assert vs1.split() == [
        "vs1",
        "running",
        "confined",
        "unprivileged",
        "system_u:system_r:vs1_t:s0:c1,c2",
        "192.168.122.10",
    ]


@pytest.mark.parametrize(
    ("words", "inside", "user"),
    [
        (("vs1", "ls", "-l", "--user", "x"), ["ls", "-l", "--user", "x"], "root"),
        (("vs1", "id", "--help"), ["id", "--help"], "root"),
        (("vs1", "--user", "www-data", "--", "id", "-u"), ["id", "-u"], "www-data"),
        (("--user", "www-data", "vs1", "id", "-u"), ["id", "-u"], "www-data"),
        (("--user=www-data", "vs1", "--", "-odd"), ["-odd"], "www-data"),
        (("-T", "-u", "www-data", "vs1", "sh", "-c", "a; b"), ["sh", "-c", "a; b"], "www-data"),
    ],
)
def test_options_behind_the_first_word_of_a_command_are_its_own(
    virtsec: Virtsec,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    inside: list[str],
    user: str,
) -> None:
    ran: list[Any] = []

    def attach(_name: str, command: object, *_: object, **__: object) -> int:
        ran.append(command)
        return 7

    monkeypatch.setattr("virtsec.attach", attach)
    assert virtsec("exec", *words).status == 7
    assert [(each.words, each.user) for each in ran] == [(inside, user)]


def test_a_command_that_is_not_said_is_asked_for(virtsec: Virtsec) -> None:
    said = virtsec("exec", "vs1")
    assert said.status == 2
    assert said.err.startswith("error: `virtsec exec` needs COMMAND.\n")


@pytest.mark.parametrize(
    ("installed", "shut_off", "following"),
    [
        (False, 0, "Next: virtsec setup"),
        (True, 0, "Next: virtsec define vs1"),
        (True, 1, "None runs; 1 is shut off: virtsec list --all"),
        (True, 2, "None runs; 2 are shut off: virtsec list --all"),
    ],
)
def test_a_list_of_nothing_says_why(
    virtsec: Virtsec,
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
    installed: bool,
    shut_off: int,
    following: str,
) -> None:
    monkeypatch.setattr("virtsec.commands.host.installed", lambda: installed)
    monkeypatch.setattr("virtsec.commands.listing.list_domains", lambda _host, all_: [])
    library.domains = [object()] * shut_off
    said = virtsec("list")
    assert said.status == 0
    assert said.err.rstrip().endswith(following)
    assert len(said.out.splitlines()) == 1
    assert virtsec("list", "--json").err == ""


def test_info_shows_a_line_for_each_thing(virtsec: Virtsec) -> None:
    out = virtsec("info", "vs1").out
    assert "Confinement:   confined\n" in out
    assert "0 to 65535 are 1048576 to 1114111 here" in out
    assert "None" not in out


def test_a_dry_run_of_define_shows_steps_xml_and_policy(virtsec: Virtsec, library: Library) -> None:
    out = virtsec("define", "vs1", "--dry-run").out
    for part in ("- start vs1 with the host\n", "<domain/>\n", "(type vs1_t)\n"):
        assert part in out
    assert out.endswith("Nothing was changed.\n")
    assert [what for what, _ in library.asked] == ["plan"]


def test_a_reader_that_goes_away_is_no_error_and_stops_no_work(
    library: Library, capfd: pytest.CaptureFixture[str]
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    kept = os.dup(1)
    stdout = sys.stdout
    try:
        os.dup2(writing, 1)
        sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), write_through=True)
        assert run(["start", "vs1", "vs2"]) == 0
    finally:
        sys.stdout = stdout
        os.dup2(kept, 1)
    assert [name for _, name in library.asked] == ["vs1", "vs2"]
    assert capfd.readouterr().err == ""


def test_colours_only_where_a_terminal_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert coloured(Terminal(), "\x1b[33m", "x") == "\x1b[33mx\x1b[0m"
    assert coloured(io.StringIO(), "\x1b[33m", "x") == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured(Terminal(), "\x1b[33m", "x") == "x"


def test_the_c_locale_gets_ascii() -> None:
    code = (
        "from virtsec.cli.run import run; from virtsec.cli import output;"
        "import virtsec.cli.run as r; r._prepare_streams(); output.Output().say('caf\\xe9')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=TREE,
        env={"LC_ALL": "C"},
        capture_output=True,
        check=True,
    )
    assert done.stdout == b"caf\\xe9\n"


def test_the_app_has_no_command_without_a_test_here() -> None:
    names = [command.name for command in app.registered_commands]
    assert [*names, *(group.name for group in app.registered_groups)] == COMMANDS
    assert Output().json is False


@pytest.mark.parametrize(
    ("begun", "sentence"),
    [(True, "libvirt's hook is not installed"), (False, "This host is not set up")],
)
def test_nothing_is_started_on_a_host_without_the_hook(
    virtsec: Virtsec,
    library: Library,
    monkeypatch: pytest.MonkeyPatch,
    begun: bool,
    sentence: str,
) -> None:
    library.missing = ["libvirt's hook is not installed"]
    monkeypatch.setattr("virtsec.host.checks.begun", lambda _: begun)
    said = virtsec("start", "vs1")
    assert said.status == 1
    assert sentence in said.err
    assert "Run `virtsec setup`." in said.err
    assert library.asked == []
