"""`define --from-xml`: a definition says all, and is read as far as libvirt would."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.library import Library, Said
from virtsec.errors import Failed

Virtsec = Callable[..., Said]


@pytest.mark.parametrize(
    "option",
    [
        *("--egress=none", "--memory=1G", "--memory=512M", "--autostart", "--base=web"),
        *("--no-network", "--from=/srv", "--rootfs=/srv", "--expose=8080:80", "--privileged"),
    ],
)
def test_what_a_definition_says_is_not_said_beside_it(
    virtsec: Virtsec, tmp_path: Path, option: str
) -> None:
    file = tmp_path / "vs1.xml"
    file.write_text("<domain/>")
    said = virtsec("define", "vs1", "--from-xml", str(file), option)
    assert said.status == 2
    assert f"{option.partition('=')[0]} has no place beside it" in said.err


def test_a_name_and_how_to_tell_have_a_place_beside_a_definition(
    virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def plan(text: str, _host: Any, name: str) -> Any:
        raise Failed(f"{name}: {text}")

    monkeypatch.setattr("virtsec.commands.definition.plan_from_xml", plan)
    file = tmp_path / "vs1.xml"
    file.write_text("<domain/>")
    said = virtsec("define", "vs1", "--from-xml", str(file), "--dry-run", "--json")
    assert said.json["error"]["sentence"] == "vs1: <domain/>"


def test_of_a_definition_without_an_end_no_more_is_read_than_libvirt_takes(
    virtsec: Virtsec, library: Library
) -> None:
    words = ("/usr/bin/head", "--bytes", str(32 << 20), "/dev/zero")
    with subprocess.Popen(words, stdout=subprocess.PIPE) as endless:
        assert endless.stdout
        said = virtsec("define", "--from-xml", f"/dev/fd/{endless.stdout.fileno()}")
    assert (said.status, library.asked) == (2, [])
    assert "is too long" in said.err
    assert endless.returncode == -signal.SIGPIPE
