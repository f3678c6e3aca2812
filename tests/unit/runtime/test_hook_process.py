"""The hook as libvirt runs it: exit status, one sentence, little time, whatever comes in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.runtime.runtime_samples import (
    Container,
    Ended,
    changed,
    good,
    installed,
    run,
)
from virtsec.runtime.judgement import CPU_LIMIT

PREPARE = ["vs1", "prepare", "begin", "-"]
FOREIGN = b"<domain type='lxc'><name>old</name></domain>"
LIBVIRT_STAGES = [
    ("stopped", "end"),
    ("release", "end"),
    ("reconnect", "begin"),
]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hook as it is: nothing of ours is on this host."""
    return installed("hook.py", tmp_path_factory.mktemp("hooks"), {})


def assert_refused(ended: Ended) -> None:
    """Status 1, one sentence, no traceback, in less than the two seconds of CPU it may take."""
    assert ended.status == 1
    assert ended.error.startswith("virtsec: vs1 is not started: ")
    assert ended.error.endswith(".\n")
    assert ended.error.count("\n") == 1
    assert len(ended.error) < 1000
    assert "Traceback" not in ended.error
    assert ended.cpu < CPU_LIMIT


class TestWhatIsNotItsConcern:
    def test_a_foreign_domain_starts(self, program: Path) -> None:
        ended = run(program, PREPARE, FOREIGN)
        assert (ended.status, ended.error) == (0, "")

    @pytest.mark.parametrize(("operation", "stage"), LIBVIRT_STAGES)
    def test_no_other_stage_fails_even_for_a_broken_domain_of_ours(
        self, operation: str, stage: str, program: Path
    ) -> None:
        """A refusal of 'reconnect begin' would kill a container that runs."""
        for data in (good().encode(), b"virtsec", b"\0virtsec", b""):
            ended = run(program, ["vs1", operation, stage, "-"], data)
            assert (ended.status, ended.error) == (0, "")

    def test_a_foreign_or_privileged_domain_that_has_started_goes_on(self, program: Path) -> None:
        for data in (FOREIGN, FOREIGN.replace(b"old", b"virtsec"), good("privileged").encode()):
            ended = run(program, ["vs1", "started", "begin", "-"], data)
            assert (ended.status, ended.error) == (0, "")

    def test_one_of_ours_whose_share_cannot_be_limited_does_not(self, program: Path) -> None:
        """The controller that libvirt names is not there."""
        data = good().replace("<domain type='lxc'>", "<domain type='lxc' id='4194305'>").encode()
        for each in (data, good().encode()):
            assert_refused(run(program, ["vs1", "started", "begin", "-"], each))

    def test_what_a_network_comes_to_is_judged_when_libvirt_knows(self, program: Path) -> None:
        """A network of libvirt's may be a card of the host's, which no filter of ours sees."""
        direct = good().replace("<interface type='network'>", "<interface type='direct'>")
        start = ["vs1", "start", "begin", "-"]
        assert (run(program, start, good().encode()).status) == 0
        ended = run(program, start, direct.encode())
        assert_refused(ended)
        assert "type direct" in ended.error

    def test_a_long_foreign_domain_starts(self, program: Path) -> None:
        assert run(program, PREPARE, FOREIGN + b" " * (4 << 20)).status == 0

    def test_the_environment_changes_nothing(self, program: Path, tmp_path: Path) -> None:
        (tmp_path / "posix.py").write_text("raise SystemExit(0)")
        for name in ("hook.py", "judgement.py"):
            (tmp_path / name).write_text("main = judge = lambda *_: 0")
        (tmp_path / "xml.py").write_text("raise SystemExit(0)")
        env = {"PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "hook.py")}
        assert_refused(run(program, PREPARE, b"<virtsec", env=env))


def nested(depth: int) -> bytes:
    """virtsec's metadata, with elements in elements."""
    return b"<domain xmlns:v='urn:virtsec:container'>" + b"<v:a>" * depth + b"</v:a>" * depth


def billion_laughs() -> bytes:
    entities = "".join(f"<!ENTITY l{index} '{f'&l{index - 1};' * 10}'>" for index in range(1, 10))
    return f"<!DOCTYPE d [<!ENTITY l0 'virtsec'>{entities}]><domain>&l9;</domain>".encode()


HOSTILE = {
    "nothing but the mark": b"virtsec",
    "external entity": b"<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/shadow'>]><virtsec>&x;</virtsec>",
    "external subset": b"<!DOCTYPE d SYSTEM 'http://192.0.2.1/virtsec.dtd'><d/>",
    "parameter entity": b"<!DOCTYPE d [<!ENTITY % x SYSTEM 'file:///dev/zero'>%x;]><virtsec/>",
    "billion laughs": billion_laughs(),
    "unknown entity": b"<virtsec>&x;</virtsec>",
    "deep": nested(50_000),
    "deep and closed": nested(50_000) + b"</domain>",
    "NUL": good().replace("<memory", "\0<memory").encode(),
    "NUL by reference": good().replace("<memory", "&#0;<memory").encode(),
    "latin-1": b"<?xml version='1.0' encoding='latin-1'?>" + good().encode() + b"<!-- \xe9 -->",
    "not UTF-8": good().replace("debian.tar", "d\udce9bian.tar").encode(errors="surrogateescape"),
    "UTF-16 behind the mark": b"<!--virtsec-->" + good().encode("utf-16"),
    "two megabytes": good().replace("vs1</name>", "vs1</name>" + " " * (2 << 20)).encode(),
    "two megabytes, the mark at the end": b"<domain>" + b" " * (2 << 20) + b"<virtsec/></domain>",
    "a megabyte of elements": b"<virtsec:x>" + b"<a/>" * 260_000,
    "a megabyte of text": b"<virtsec>" + b"a<a/>" * 200_000,
    "a megabyte of attributes": b"<virtsec " + b"".join(b"a%d='' " % i for i in range(90_000)),
    "undeclared prefix": good().replace(' xmlns:virtsec="urn:virtsec:container"', "").encode(),
    "cut off": good().encode()[:-20],
    "two documents": good().encode() * 2,
    "recursion in metadata": good().replace("<virtsec:init", "<virtsec:init>" * 2000).encode(),
    "a line break in a value": good().replace("/sbin/init<", "/sbin/in&#10;\n\nit<").encode(),
    "a long value": good().replace("/sbin/init<", f"/{'x' * 100_000}<").encode(),
    "a thousand labels": good()
    .replace("<clock", "<seclabel type='none'/>" * 1000 + "<clock")
    .encode(),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_xml_is_refused_with_one_sentence(data: bytes, program: Path) -> None:
    assert_refused(run(program, PREPARE, data))


def test_the_hook_reads_no_file_that_the_xml_names(tmp_path: Path, program: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("<virtsec>secret</virtsec>")
    doctype = f"<!DOCTYPE d [<!ENTITY x SYSTEM 'file://{secret}'>]>"
    ended = run(program, PREPARE, f"{doctype}<virtsec>&x;</virtsec>".encode())
    assert_refused(ended)
    assert "secret" not in ended.error


def test_a_closed_standard_input_is_no_way_past_it(program: Path) -> None:
    command = f"exec {sys.executable} -IS {program} vs1 prepare begin - <&-"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr


def test_what_takes_too_long_is_refused(tmp_path: Path) -> None:
    """Whatever is found in it one day, or how busy the host is: the start fails, and says why."""
    exchange = {"    domain = parse(data)\n": "    while True: pass\n"}
    ended = run(installed("hook.py", tmp_path, exchange), PREPARE, b"virtsec")
    assert ended.status == 1
    assert ended.error.startswith("virtsec: vs1 is not started: its XML took 2 s of processor time")
    # The limit is counted in ticks of the clock, so on a busy host it may be reached before.
    assert CPU_LIMIT / 2 < ended.cpu < CPU_LIMIT + 0.5


def test_what_does_not_come_back_is_ended_by_the_kernel(tmp_path: Path) -> None:
    exchange = {"    domain = parse(data)\n": "    sum(iter(int, 1))\n"}
    ended = run(installed("hook.py", tmp_path, exchange), PREPARE, b"virtsec")
    assert ended.status not in (0, 1)
    assert ended.cpu < CPU_LIMIT + 1.5


@settings(max_examples=60, deadline=None)
@given(noise=st.binary(max_size=300), place=st.integers(0, 300))
def test_arbitrary_bytes_with_a_trace_of_ours_never_pass(
    program: Path, noise: bytes, place: int
) -> None:
    """Bytes around the mark are not a domain; the process itself, not a function in it."""
    data = noise[:place] + b"virtsec" + noise[place:]
    done = subprocess.run(
        [sys.executable, "-IS", str(program), *PREPARE],
        input=data,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(b"virtsec: vs1 is not started: ")
    assert b"Traceback" not in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_good_start_ends_well_and_says_nothing(stopped: Container) -> None:
    ended = stopped.start()
    assert (ended.status, ended.error) == (0, "")


def test_an_edit_is_refused_and_put_back_it_starts(stopped: Container) -> None:
    before = stopped.xml
    stopped.edit("<mac_admin state='off'/>", "<mac_admin state='on'/>")
    ended = stopped.start()
    assert_refused(ended)
    assert "mac_admin" in ended.error
    stopped.xml = before
    assert stopped.start().status == 0


def test_the_sentence_is_one_line_of_ascii(stopped: Container) -> None:
    stopped.xml = changed(stopped.xml, "<init>/sbin/init", "<init>/\u009b31m\u2028&#10;/init")
    ended = stopped.start()
    assert_refused(ended)
    assert ended.error.isascii()
    assert ended.error.rstrip("\n").isprintable()


def test_without_its_module_none_of_ours_starts_and_foreign_ones_do(
    tmp_path: Path, program: Path
) -> None:
    """As in the middle of a removal: nobody but root can bring that about."""
    alone = tmp_path / "hook.py"
    alone.write_text(program.read_text().replace(str(program.parent), str(tmp_path)))
    alone.chmod(0o755)
    assert_refused(run(alone, PREPARE, good().encode()))
    assert run(alone, PREPARE, FOREIGN).status == 0
