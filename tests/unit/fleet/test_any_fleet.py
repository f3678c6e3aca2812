"""Fleet files as anybody may write them: the same in YAML and TOML, or told by file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.unit.domain.specs import PATHS
from tests.unit.fleet.test_wanted import WHOLE
from tests.unit.samples import sample
from virtsec import words
from virtsec.errors import BadInput, VirtsecError
from virtsec.fleet.document import parse
from virtsec.fleet.export import as_text, exported
from virtsec.fleet.wanted import Fleet, wanted
from virtsec.spec import Mount

YAML, TOML = Path("fleet.yaml"), Path("fleet.toml")

NUMBERS = st.one_of(st.integers(0, 10**18 - 1), st.sampled_from([0, 1, 64, 4096, -1]))
WORDS = st.one_of(
    st.sampled_from([
        *("vs1", "web-{n}", "db", "web", "front", "none", "default", "br0", "512M", "1G", "/", "..",
          "/srv/a.tar", "debian:trixie", "/srv/x:/mnt/x:ro,idmap", "8080:80", "5432/tcp", "53/udp",
          "lan", "all", "own", "category", "192.168.122.10/24", "192.168.122.1", "fd00::1%a/64",
          "192.168.122.10-192.168.122.20/24", "web-*", "true", "1:30", "/sbin/init", "é\u2028", ""),
        "9" * 400, "9" * 400 + "k", "9" * 5000,
    ]),
    st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=6),
)  # fmt: skip
VALUES = st.one_of(NUMBERS, WORDS, st.booleans(), st.lists(WORDS, max_size=2))
SETTINGS = st.sampled_from([
    *("from", "base", "scratch", "privileged", "memory", "swap", "vcpus", "cpu-shares", "pids"),
    *("files", "inotify", "network", "bridge", "gateway", "egress", "mount", "init", "init-args"),
    *("init-policy", "confinement", "autostart", "address", "expose", "rootfs", "pool", "profile"),
])  # fmt: skip
GROUP = st.dictionaries(SETTINGS, VALUES, max_size=3)
#: Entries that make sense, so that not all end at the first word that does not.
SENSE = st.sampled_from([
    {}, {"memory": "1G"}, {"base": "web"}, {"pool": "front"}, {"address": ["192.168.122.30/24"]},
    {"network": "none"}, {"confinement": "category"}, {"expose": ["80:80"]}, {"pids": 100},
])  # fmt: skip
ENTRY = st.builds(
    lambda name, sense, rest: {"name": name, **sense, **rest},
    st.one_of(st.sampled_from(["vs1", "vs2", "db"]), WORDS),
    SENSE,
    st.one_of(st.just({}), st.just({}), GROUP, st.just({"count": 2})),
)
FLEETS = st.fixed_dictionaries(
    {"version": st.sampled_from([1, 1, 1, 1, 2, "1"]), "containers": st.lists(ENTRY, max_size=3)},
    optional={
        "defaults": st.one_of(SENSE, GROUP),
        "profiles": st.dictionaries(st.sampled_from(["web", "x y"]), st.one_of(SENSE, GROUP)),
        "pools": st.dictionaries(st.just("front"), WORDS, max_size=1),
        "bases": st.dictionaries(st.just("web"), st.fixed_dictionaries({"from": WORDS})),
        "links": st.lists(
            st.fixed_dictionaries({"from": WORDS, "to": WORDS, "port": st.one_of(WORDS, NUMBERS)}),
            max_size=1,
        ),
    },
)


def toml(value: Any) -> str:
    """A value of JSON as TOML, whose strings are JSON's (toml.io/en/v1.0.0)."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)} = {toml(value[key])}' for key in value)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


@given(st.lists(st.builds(Mount, PATHS, PATHS, st.booleans(), st.booleans()), min_size=1))
def test_a_mount_that_is_exported_is_read_as_it_was(mounts: list[Mount]) -> None:
    (document,) = exported([sample("vs1", mounts=tuple(mounts)).spec], {})["containers"]
    assert [words.mount(text) for text in document["mount"]] == mounts


def asked(text: str, path: Path) -> Fleet | str:
    """What a file asks for, or what is wrong with it; nothing but a documented error comes out."""
    try:
        return wanted(parse(text, path))
    except BadInput as error:
        assert error.sentence.startswith(f"{path}:")
        return "wrong"
    except VirtsecError as error:  # Refused, by a check of the spec
        return type(error).__name__


@settings(max_examples=150, deadline=None)
@given(FLEETS)
def test_yaml_and_toml_ask_for_the_same(fleet: dict[str, Any]) -> None:
    lines = "".join(f"{json.dumps(key)} = {toml(fleet[key])}\n" for key in fleet)
    found = asked(lines, TOML)
    event("wrong" if isinstance(found, str) else "a fleet")
    assert asked(as_text(fleet), YAML) == found


PIECES = ["[", "]", "{", "}", ":", ",", "=", "\n", "\t", '"', "'''", "#", "- ", "&a ", "*a",
          "!!int ", "? ", "|", "0x" + "f" * 5000, "9" * 5000, "1e999", "2.0", "nan",
          "2026-11-28", "\\u0000", "\x85", "\ufeff", "count: 2", "count = 2.0\n",
          "[[containers]]\n", "---\n"]  # fmt: skip
IN_TOML = """version = 1
defaults = {memory = "256M", from = "/srv/debian.tar"}
[[containers]]
name = "web-{n}"
count = 3
[[containers]]
name = "db"
address = ["192.168.122.20/24"]
expose = ["5432:5432"]
[[links]]
from = "web-*"
to = "db"
port = "5432/tcp"
"""


@settings(max_examples=300, deadline=None)
@given(
    st.booleans(),
    st.lists(
        st.tuples(st.integers(0, 700), st.integers(0, 9), st.sampled_from(PIECES)), max_size=3
    ),
)
def test_however_a_file_is_edited(in_toml: bool, edits: list[tuple[int, int, str]]) -> None:
    text = IN_TOML if in_toml else WHOLE
    for at, length, piece in edits:
        start = at % (len(text) + 1)
        text = text[:start] + piece + text[start + length :]
    asked(text, TOML if in_toml else YAML)


@pytest.mark.parametrize(
    "value",
    ["9" * 5000, f"0x{'f' * 5000}", str(10**18), "2.0", "inf", "2026-11-28", "12:30:00"],
    ids=lambda value: value[:12],
)
@pytest.mark.parametrize("setting", ["memory", "vcpus", "count"])
def test_what_toml_has_more_than_yaml_is_told(setting: str, value: str) -> None:
    text = f'version = 1\n[[containers]]\nname = "vs{{n}}"\n{setting} = {value}\n'
    assert asked(text, TOML) == "wrong"


@pytest.mark.parametrize("zone", ["%eth0", '%a"b', "%a\nExecStartPre=/bin/x"])
def test_an_address_with_a_zone_is_none_a_container_can_have(zone: str) -> None:
    """It would come into a unit of systemd's as it is."""
    for said in ({"address": [f"fd00::1{zone}/64"]},
                 {"address": ["fd00::2/64"], "gateway": f"fd00::1{zone}"}):  # fmt: skip
        fleet = {"version": 1, "containers": [{"name": "vs1", **said}]}
        assert asked(as_text(fleet), YAML) == "wrong"
