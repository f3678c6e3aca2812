"""The example of docs/api.md: it is typed, does what it says, and ends as it says."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.unit.fakes import FakeLibvirt, FakeMac, fake_host
from tests.unit.samples import selinux_label
from virtsec.attacks.probe import Probe
from virtsec.attacks.proof import Result, Side, Verdict
from virtsec.commands import (
    definition,
    host,
    lifecycle,
    linking,
    live,
    verifying,
)
from virtsec.enter.door import Target
from virtsec.spec import Link
from virtsec.step import Host

TREE = Path(__file__).parents[3]
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The program of the document, the only one there is."""
    (text,) = EXAMPLE.findall((TREE / "docs/api.md").read_text("utf-8"))
    path = tmp_path / "example.py"
    path.write_text(text)
    return path


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch, log: list[str]) -> Host:
    """The host that is opened, with no container on it."""
    made = fake_host()
    for module in (host, definition, lifecycle, linking, verifying):
        monkeypatch.setattr(module, "open_host", lambda *_: made)
    monkeypatch.setattr(live, "wait_for_init", lambda _: None)
    return made


@pytest.fixture
def shows(monkeypatch: pytest.MonkeyPatch, there: Host) -> Callable[[Verdict], None]:
    """Has every attack show that, without one."""

    def side_of(name: str, _host: Host) -> Side:
        target = Target(4242, 1, "selinux", selinux_label(name).process)
        return Side(name, target, {}, selinux_label(name).file, 0, frozenset())

    def show(verdict: Verdict) -> None:
        def attacked(side: Side, other: Side, _host: Host, probes: Sequence[Probe]) -> Any:
            results = [
                Result(
                    *(each.id, each.group, each.sentence, each.promise, each.see, each.position),
                    *(verdict, "it was seen", None, ()),
                )
                for each in probes
            ]
            return verifying.verified(side, other.name, results)

        monkeypatch.setattr(verifying, "attacked", attacked)

    monkeypatch.setattr(verifying, "side_of", side_of)
    return show


def test_it_is_typed(example: Path) -> None:
    words = (sys.executable, "-m", "mypy", "--strict", str(example))
    done = subprocess.run(words, cwd=TREE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_makes_two_containers_links_them_and_says_that_all_held(
    example: Path, there: Host, shows: Callable[[Verdict], None], capsys: pytest.CaptureFixture[str]
) -> None:
    shows(Verdict.HELD)
    assert runpy.run_path(str(example))["main"]("/srv/debian.tar") == 0
    assert isinstance(there.libvirt, FakeLibvirt)
    assert isinstance(there.mac, FakeMac)
    assert {name: each.active for name, each in there.libvirt.records.items()} == {
        "web": True,
        "db": True,
    }
    assert there.mac.traffic.links == {"web": (Link("db", 5432),)}
    said = capsys.readouterr().out
    assert "web will run as system_u:system_r:web_t:s0:c0,c1:\n- load" in said


def test_it_says_what_did_not_hold(
    example: Path, shows: Callable[[Verdict], None], capsys: pytest.CaptureFixture[str]
) -> None:
    shows(Verdict.BROKEN)
    assert runpy.run_path(str(example))["main"]("/srv/debian.tar") == 1
    assert (
        "web could keep more processors busy than it may: it was seen\n" in capsys.readouterr().out
    )


def test_a_second_time_it_says_why_not_and_changes_nothing(
    example: Path, there: Host, shows: Callable[[Verdict], None], capsys: pytest.CaptureFixture[str]
) -> None:
    shows(Verdict.HELD)
    main = runpy.run_path(str(example))["main"]
    main("/srv/debian.tar")
    assert isinstance(there.libvirt, FakeLibvirt)
    before = dict(there.libvirt.records)
    assert main("/srv/debian.tar") == 2
    assert capsys.readouterr().err == (
        "libvirt has a domain web already. Choose another name, or see `virtsec info web`.\n"
    )
    assert there.libvirt.records == before
