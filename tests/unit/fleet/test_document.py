"""Fleet files as text: what is no such file is told by file, line and sentence."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from virtsec.errors import BadInput
from virtsec.fleet.document import MOST_BYTES, load, parse

FILE = Path("fleet.yaml")
BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"


def test_what_is_there_is_read_with_its_lines() -> None:
    document = parse("version: 1\ncontainers:\n  - name: vs1\n    expose: [8080:22, '1']\n", FILE)
    assert document.data == {
        "version": 1,
        "containers": [{"name": "vs1", "expose": ["8080:22", "1"]}],
    }
    assert document.lines["containers", 0, "expose"] == 4
    error = document.wrong(("containers", 0, "name", "deeper"), "Odd.", "Mend it.")
    assert (error.sentence, error.remedy) == ("fleet.yaml:3: Odd.", "Mend it.")


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7), ("007", "007"), ("1:30", "1:30"), ("yes", "yes"), ("true", True), ("~", None),
     ("'true'", "true"), ("1e3", "1e3"), ("0x1", "0x1"), ("2026-11-28", "2026-11-28"),
     ("9" * 30, "9" * 30)],
)  # fmt: skip
def test_a_plain_word_is_what_it_looks_like(text: str, value: object) -> None:
    assert parse(f"a: {text}\n", FILE).data == {"a": value}


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("a = 1\nb\n", 2, "This is no TOML"),
        ("a = 1\na = 2\n", 2, "This is no TOML"),
        ("a = [1,\n", 2, "This is no TOML"),
        ("a = " + "[" * 50 + "]" * 50, 1, "TOML for a fleet: it nests more than"),
        ("a = " + "[" * 100_000, 1, "TOML for a fleet: it nests more than"),
        ("a = \x00\n", 1, "This is no TOML"),
        (BOMB, 1, "anchors and aliases are not understood"),
        ("a: 1\nb: *x\n", 2, "anchors and aliases"),
        ("a: !!python/object:os.system x\n", 1, "tags are not understood"),
        ("a: 1\nb: 2\na: 3\n", 3, "a is there twice"),
        ("a: [1\nb: 2\n", 2, "This is no YAML"),
        ("a:\n\t- x\n", 2, "This is no YAML"),
        ("? [a]\n: b\n", 1, "A key is a single word"),
        ("a: " + "[" * 50 + "]" * 50, 1, "nests more than"),
        ("[" * 100_000, 1, "nests more than"),
        ("a: 1\n---\nb: 2\n", 2, "This is no YAML"),
        ("a: \x00\n", 1, "This is no YAML"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_line(text: str, line: int, sentence: str) -> None:
    file = FILE.with_suffix(".toml") if "TOML" in sentence else FILE
    with pytest.raises(BadInput) as raised:
        parse(text, file)
    assert raised.value.sentence.startswith(f"{file}:{line}: ")
    assert sentence in raised.value.sentence


def test_files_that_are_none(tmp_path: Path) -> None:
    long = tmp_path / "long.yaml"
    long.write_bytes(b"\n" * (10 << 20))
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, sentence in (
        (long, f"a fleet file has {MOST_BYTES} bytes at most"),
        (binary, "cannot be read"),
        (tmp_path / "none.yaml", r"none.yaml cannot be read: No such file or directory\.$"),
        (tmp_path, "cannot be read"),
    ):
        with pytest.raises(BadInput, match=sentence):
            load(path)


def test_of_a_file_without_an_end_no_more_is_read_than_a_fleet_file_has() -> None:
    words = ("/usr/bin/head", "--bytes", str(8 * MOST_BYTES), "/dev/zero")
    with subprocess.Popen(words, stdout=subprocess.PIPE) as endless:
        assert endless.stdout
        with pytest.raises(BadInput, match="is too long"):
            load(Path(f"/dev/fd/{endless.stdout.fileno()}"))
    assert endless.returncode == -signal.SIGPIPE


@given(st.text(max_size=200))
def test_any_text_is_data_or_bad_input(text: str) -> None:
    try:
        parse(text, FILE)
    except BadInput as error:
        assert error.sentence.startswith("fleet.yaml:")
