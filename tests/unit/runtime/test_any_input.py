"""Hook and controller as processes: whatever comes in, they end, in a sentence, and start nothing.

The kernel ends both at two seconds of CPU, so a status of 1 says that they took less.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.runtime.hook_said import Hook, hook_says
from tests.unit.runtime.runtime_samples import good, installed
from tests.unit.runtime.test_controller import ARGUMENTS
from tests.unit.runtime.test_hook_fuzz import confinement

CPU = 2  # seconds

Words = list[bytes]


def ended(
    program: Path, words: Words, data: bytes = b"", env: Mapping[bytes, bytes] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program as libvirt does, and no longer than `CPU`."""
    with tempfile.TemporaryFile() as file:  # as long as they like, and nobody need write it
        file.write(data)
        file.seek(0)
        return subprocess.run(
            [sys.executable, b"-IBS", os.fsencode(program), *words],
            stdin=file,
            capture_output=True,
            env=env,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (CPU, CPU)),
        )


def assert_one_sentence(done: subprocess.CompletedProcess[bytes]) -> None:
    said = done.stderr.decode("ascii")
    assert done.returncode == 1, said
    assert done.stdout == b""
    assert said.startswith("virtsec: "), said
    assert " is not started: " in said
    assert said.endswith(".\n")
    assert said[:-1].isprintable()
    assert len(said) < 2000
    assert "Traceback" not in said


@pytest.fixture(scope="module")
def hook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed("hook.py", tmp_path_factory.mktemp("hook"), {})


@pytest.fixture(scope="module")
def controller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """On a host that has no libvirt_lxc: nothing it could become."""
    nowhere = {
        '"/usr/lib/libvirt/libvirt_lxc"': '"/nowhere/libvirt_lxc"',
        '"/usr/libexec/libvirt_lxc"': '"/nowhere/libvirt_lxc"',
    }
    return installed("controller.py", tmp_path_factory.mktemp("controller"), nowhere)


#: What execve(2) takes as a word: any bytes but NUL, up to 128 KiB.
WORD = st.one_of(
    st.binary(max_size=20).map(lambda word: word.replace(b"\0", b"")),
    st.sampled_from([b"", b"vs1", b"-", b"--", b"\xff", b"a\nb", b"\x1b[31m", b"x" * 5000]),
)
#: The interpreter is told to look at none of these; a library for it to load is libvirt's business.
ENVIRONMENT = st.dictionaries(
    st.sampled_from(
        [
            *(b"PYTHONPATH", b"PYTHONHOME", b"PYTHONSTARTUP", b"PYTHONINSPECT", b"PYTHONDEBUG"),
            *(b"PYTHONIOENCODING", b"PYTHONWARNINGS", b"PYTHONVERBOSE", b"PYTHONUTF8", b"LC_ALL"),
            *(b"PATH", b"HOME", b"TMPDIR", b"LIBVIRT_DEBUG", b"LIBVIRT_LOG_OUTPUTS", b"IFS"),
        ]
    ),
    st.one_of(WORD.map(lambda word: word[:200]), st.sampled_from([b"1", b"/tmp", b"C", b"utf-16"])),
    max_size=4,
)
MARK = b"virtsec"


@settings(max_examples=25, deadline=None)
@given(st.lists(WORD, max_size=6), ENVIRONMENT, st.sampled_from([MARK, b"\0\xff" + MARK, b"<x/>"]))
def test_the_hook_is_called_in_any_way(
    hook: Path, words: Words, env: dict[bytes, bytes], data: bytes
) -> None:
    """All but the two stages that it judges are none of its concern."""
    done = ended(hook, words, data, env)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@settings(max_examples=25, deadline=None)
@given(WORD, st.sampled_from([b"prepare", b"started"]), ENVIRONMENT, st.binary(max_size=40))
@example(b"\x1b[31m", b"prepare", {}, b"")
def test_the_hook_starts_nothing_that_is_not_exactly_ours(
    hook: Path, name: bytes, operation: bytes, env: dict[bytes, bytes], noise: bytes
) -> None:
    data = noise + MARK + noise
    assert_one_sentence(ended(hook, [name, operation, b"begin", b"-"], data, env))


def laughs(depth: int, width: int) -> bytes:
    """Entities of entities."""
    more = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * width}'>" for n in range(1, depth))
    return f"<!DOCTYPE d [<!ENTITY l0 'virtsec'>{more}]><d>&l{depth - 1};</d>".encode()


OURS = b"<domain xmlns:v='urn:virtsec:container'>"
LONG = 10 << 20  # bytes
HUGE = {
    "text": OURS + b"x" * LONG + b"</domain>",
    "an attribute": b"<virtsec x='" + b"y" * LONG + b"'/>",
    "attributes": b"<virtsec " + b"".join(b"a%d='' " % n for n in range(1_000_000)) + b"/>",
    "elements": OURS + b"<v:a/>" * (LONG // 6) + b"</domain>",
    "a comment": b"<!--" + b"virtsec " * (LONG // 8) + b"--><domain/>",
    "a name": b"<virtsec" + b"a" * LONG + b"/>",
    "NUL": OURS + b"\0" * LONG,
    "no UTF-8": OURS + b"\xff" * LONG,
    "one byte for another": OURS + b"\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80</domain>",
    "100,000 levels": OURS + b"<a>" * 100_000 + b"</a>" * 100_000 + b"</domain>",
    "100,000 levels of ours": OURS + b"<v:a>" * 100_000,
    "entities": laughs(10, 10),
    "entities of one level": laughs(3, 50_000),
    "all that is read": b"<" + MARK + b" " * (1 << 26),
}


@pytest.mark.parametrize("data", HUGE.values(), ids=HUGE)
def test_the_hook_refuses_what_is_huge_or_deep_in_time(hook: Path, data: bytes) -> None:
    for operation in (b"prepare", b"started"):
        assert_one_sentence(ended(hook, [b"vs1", operation, b"begin", b"-"], data))


#: Within what it reads, and made to take long.
SLOW = {
    "namespaces": b"".join(b"<v%d xmlns:v%d='urn:%d'" % (n, n, n) + b">" for n in range(60)),
    "elements": b"<metadata>" + b"<x/>" * 240_000 + b"</metadata>",
    "labels": b"<seclabel/>" * 9000,
    "filesystems": b"<devices>" + b"<filesystem/>" * 9000 + b"</devices>",
    "mounts": b"<devices>" + b"<filesystem type='mount'><source dir='/a/%s'/><target dir='/b'/>"
    b"</filesystem>" % (b"a/" * 20) * 8000 + b"</devices>",
    "path": b"<devices><filesystem type='mount'><source dir='/" + b"a/" * 400_000 + b"'/>"
    b"<target dir='/b'/></filesystem></devices>",
    "capabilities": b"<features><capabilities>" + b"<chown/>" * 9000 + b"</capabilities>"
    b"</features>",
    "texts": b"<name>" + b"a<!---->" * 125_000 + b"</name>",
    "number": b"<memory>" + b"9" * 900_000 + b"</memory>",
}  # fmt: skip


@pytest.mark.parametrize("part", SLOW.values(), ids=SLOW)
def test_the_hook_refuses_in_time_what_is_made_to_take_long(hook: Path, part: bytes) -> None:
    for data in (good().encode().replace(b"</domain>", part + b"</domain>"), OURS + part):
        assert_one_sentence(ended(hook, [b"vs1", b"prepare", b"begin", b"-"], data))


def test_no_more_elements_are_read_than_a_domain_has() -> None:
    verdict, why = hook_says("vs1", OURS + b"<x/>" * 10_000 + b"</domain>")
    assert verdict is Hook.REFUSED
    assert "more than 10000 elements" in why


def test_a_hook_that_is_told_nothing_says_so_all_the_same(hook: Path, tmp_path: Path) -> None:
    """No name, and standard input that cannot be read."""
    with (tmp_path / "x").open("wb") as unreadable:
        for words in ([], ["vs1"]):
            done = subprocess.run(
                [sys.executable, "-IBS", str(hook), *words],
                stdin=unreadable,
                capture_output=True,
                check=False,
            )
            assert_one_sentence(done)


OPTIONS = [os.fsencode(word) for word in ARGUMENTS]
ODD = [
    *(b"--share-net", b"--share-ipc=3", b"--name", b"--name=vs2", b"--n", b"-n", b"--", b"--help"),
    *(b"--passfd", b"--passfd=9999999999999999999999", b"--console=", b"--veth", b"0", b"-1"),
]


@settings(max_examples=30, deadline=None)
@given(
    st.one_of(
        st.lists(st.one_of(WORD, st.sampled_from([*OPTIONS, *ODD])), max_size=12),
        st.permutations(OPTIONS),
        st.lists(st.sampled_from(ODD), max_size=3).map(lambda odd: OPTIONS + odd),
    ),
    ENVIRONMENT,
)
@example([b"x" * 100_000], {})
def test_the_controller_starts_nothing_it_is_not_to(
    controller: Path, words: Words, env: dict[bytes, bytes]
) -> None:
    assert_one_sentence(ended(controller, words, b"", env))


def test_nothing_the_controller_says_is_obeyed_by_a_terminal(tmp_path: Path) -> None:
    odd = {"has no place in it": r"has \x1b[31m\n in it"}
    assert_one_sentence(ended(installed("controller.py", tmp_path, odd), [b"--odd"]))


EDITS = st.lists(
    st.tuples(
        st.integers(0, 5000),
        st.integers(0, 40),
        st.one_of(st.binary(max_size=8), st.sampled_from([b"<", b"&#0;", b"\xff", b"]]>", MARK])),
    ),
    max_size=4,
)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.just(good("privileged").encode()), st.binary()), EDITS)
def test_any_bytes_are_refused_in_a_sentence_or_as_they_should_be(
    data: bytes, edits: list[tuple[int, int, bytes]]
) -> None:
    for at, length, piece in edits:
        start = at % (len(data) + 1)
        data = data[:start] + piece + data[start + length :]
    verdict, _ = hook_says("vs1", data)
    if verdict is Hook.FINE:
        assert confinement(data.decode()) == confinement(good("privileged"))
    elif verdict is Hook.FOREIGN:
        assert MARK not in data or b"urn:virtsec:container" not in data
