"""Fleet files in TOML: every part is found on its line, and what is wrong is told by it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from virtsec.errors import BadInput
from virtsec.fleet.document import parse
from virtsec.fleet.place import Place
from virtsec.fleet.toml import lines_of
from virtsec.fleet.wanted import wanted

FILE = Path("fleet.toml")
WHOLE = '''\
version = 1   # [not] a "table"
note.of."what is".here = "a \\" quote, [and] a {bracket}"

[defaults]
memory = "64M"
labels = { a = [1, 2, { deep = true }], "b.c" = 1979-05-27 07:32:00 }

[[containers]]
name = "web-{n}"
count = 3
expose = [
  "8080:80",  # the first, of two
  '443:443',
]
text = """
name = 'not this'
[[containers]]
"""

[containers.network]
egress = 'none'

[[containers]]
name = "db"
[[containers.mounts]]
source = "/srv"
[[containers.mounts]]
source = "/tmp"
raw = \'\'\'
x = """\'\'\'
last = 1.5e3
'''


def places(data: Any, at: Place = ()) -> Iterator[Place]:
    """Where anything is."""
    yield at
    if isinstance(data, dict):
        for key, value in data.items():
            yield from places(value, (*at, key))
    if isinstance(data, list):
        for index, value in enumerate(data):
            yield from places(value, (*at, index))


def test_every_part_has_its_line() -> None:
    lines = lines_of(WHOLE)
    assert set(lines) == set(places(tomllib.loads(WHOLE)))
    text = WHOLE.splitlines()
    for place, start in (
        (("note", "of", "what is", "here"), "note."),
        (("defaults", "labels", "a", 2, "deep"), "labels"),
        (("containers", 0, "expose", 1), "  '443"),
        (("containers", 0, "text"), "text"),
        (("containers", 0, "network", "egress"), "egress"),
        (("containers", 1, "name"), 'name = "db"'),
        (("containers", 1, "mounts", 1, "source"), 'source = "/tmp"'),
        (("containers", 1, "mounts", 1, "last"), "last"),
    ):
        assert text[lines[place] - 1].startswith(start), place


def test_it_asks_for_the_same_as_yaml() -> None:
    toml = parse(
        'version = 1\ndefaults.from = "/srv/x.tar"\n[[containers]]\nname = "web-{n}"\ncount = 2\n',
        FILE,
    )
    yaml = parse(
        'version: 1\ndefaults: {from: /srv/x.tar}\ncontainers:\n  - {name: "web-{n}", count: 2}\n',
        Path("fleet.yaml"),
    )
    assert wanted(toml) == wanted(yaml)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('version = 1\n\n[[containers]]\nname = "x"\ncuont = 3\n', 3),
        ('version = 1\ncontainers = [\n{ name = "x" },\n{ name = "y", count = 1.5 },\n]\n', 4),
        ('version = 1\n[[containers]]\nname = "x"\n[[containers]]\nname = "X"\n', 4),
    ],
)
def test_what_no_fleet_has_is_told_with_its_line(text: str, line: int) -> None:
    with pytest.raises(BadInput) as raised:
        wanted(parse(text, FILE))
    assert raised.value.sentence.startswith(f"fleet.toml:{line}: ")
