"""The Debian package, the wheel and README name the same libraries, programs and version."""

import re
import tomllib
from pathlib import Path

import pytest

import virtsec
from tests.lab.machine import guest

TREE = Path(__file__).parents[2]
#: What Debian calls the distributions that pyproject.toml names.
IN_DEBIAN = {
    "jsonschema": "python3-jsonschema",
    "libvirt-python": "python3-libvirt",
    "lxml": "python3-lxml",
    "pyyaml": "python3-yaml",
    "rich": "python3-rich",
    "typer": "python3-typer",
}


def field(name: str) -> dict[str, str]:
    """A field of the binary package in debian/control: lower bounds by package, or nothing."""
    binary = (TREE / "debian/control").read_text().split("\n\n")[1]
    (text,) = re.findall(rf"^{name}:\n((?: .*\n)+)", binary, re.MULTILINE)
    entries = [line.strip().rstrip(",") for line in text.splitlines()]
    matches = [re.fullmatch(r"([^ $]+)(?: \(>= (.+)\))?", each) for each in entries]
    return {match[1]: match[2] or "" for match in matches if match}


def project() -> dict[str, str]:
    """What the wheel requires: lower bounds by Debian's package."""
    document = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    required = [each.split(">=") for each in document["dependencies"]]
    bounds = {IN_DEBIAN[name]: bound for name, bound in required}
    return {**bounds, "python3:any": document["requires-python"].removeprefix(">=")}


def told() -> set[str]:
    """The packages that README has the wheel's users install."""
    section = (TREE / "README.md").read_text().split("\n## Use it on your own Debian 13\n")[1]
    commands = re.findall(r"apt install ((?:.*\\\n)*.*)\n", section.split("\n## ")[0])
    words = [word for command in commands for word in command.partition("#")[0].split()]
    return {word for word in words if re.fullmatch("[a-z0-9-]+", word)}


def test_the_deb_depends_on_what_the_wheel_requires() -> None:
    depends = field("Depends")
    assert {name: bound for name, bound in depends.items() if name.startswith("python3")} == (
        project()
    )


@pytest.mark.parametrize("name", ["Depends", "Recommends", "Suggests"])
def test_readme_tells_users_of_the_wheel_of_all_that_the_deb_brings(name: str) -> None:
    assert set(field(name)) - {"python3:any"} <= told()


def test_a_bare_guest_has_what_the_deb_depends_on() -> None:
    """It has no network to fetch more from."""
    assert set(field("Depends")) - {"python3:any"} <= set(guest.PACKAGES)


def test_the_deb_is_of_the_version_of_the_program() -> None:
    changelog = (TREE / "debian/changelog").read_text()
    assert changelog.startswith(f"virtsec ({virtsec.__version__}) trixie;")
