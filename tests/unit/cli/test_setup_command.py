"""`virtsec setup` on the command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.library import Said
from virtsec.errors import Refused
from virtsec.host.setup import SetupResult
from virtsec.step import Host

Virtsec = Callable[..., Said]


@dataclass(frozen=True)
class Loads:
    """A step that does nothing."""

    def describe(self) -> str:
        return "load the base policy"

    def apply(self, host: Host) -> None:
        raise AssertionError

    def undo(self, host: Host) -> None:
        raise AssertionError


def answer(
    monkeypatch: pytest.MonkeyPatch, *steps: Loads, kept: tuple[Path, ...] = ()
) -> list[dict[str, Any]]:
    """Have setup say it did `steps`; what it is called with comes in the list returned."""
    asked: list[dict[str, Any]] = []

    def setup(_host: Any, **options: Any) -> SetupResult:
        asked.append(options)
        watch = options.pop("watch")
        if not options["dry_run"]:
            for index, step in enumerate(steps):
                watch(index, step)
        return SetupResult(options["remove"], options["dry_run"], steps, kept)

    monkeypatch.setattr("virtsec.host.setup.setup", setup)
    return asked


def test_setup_says_what_it_did_and_what_comes_next(
    virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answer(monkeypatch, Loads())
    assert virtsec("setup").out == (
        "- load the base policy\nThis host is ready.\nNext: virtsec define vs1\n"
    )
    assert asked == [{"remove": False, "network": True, "dry_run": False}]


def test_setup_again_says_that_nothing_changed(
    virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch)
    assert virtsec("setup").out.startswith("This host was ready; nothing changed.\n")


def test_a_dry_run_says_what_would_be_done(
    virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answer(monkeypatch, Loads())
    assert virtsec("setup", "--dry-run").out == "- load the base policy\nNothing was changed.\n"
    assert asked[0]["dry_run"] is True


@pytest.mark.parametrize(
    ("within", "said"),
    [
        ((), "something was"),
        (("vs1",), "vs1 is"),
        (("vs1", "vs3", "vs2"), "vs1 and 2 more are"),
    ],
)
def test_remove_says_what_stays(
    virtsec: Virtsec,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    within: tuple[str, ...],
    said: str,
) -> None:
    for name in within:
        (tmp_path / name).mkdir()
    answer(monkeypatch, Loads(), kept=(tmp_path,))
    told = virtsec("setup", "--remove")
    assert told.err == f"warning: {tmp_path} stays: {said} in it.\n"
    assert "Nothing else of virtsec is left here." in told.out


def test_setup_document(virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answer(monkeypatch, Loads(), kept=(Path("/etc/virtsec"),))
    assert virtsec("setup", "--remove", "--no-network", "--json").json == {
        "removed": True,
        "dry_run": False,
        "steps": [{"step": "Loads", "does": "load the base policy"}],
        "kept": ["/etc/virtsec"],
    }
    assert asked[0]["network"] is False


def test_remove_that_is_refused_is_status_3(
    virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def setup(*_: Any, **__: Any) -> SetupResult:
        raise Refused("Containers of virtsec are still defined here: vs1.", "Undefine them first.")

    monkeypatch.setattr("virtsec.host.setup.setup", setup)
    assert virtsec("setup", "--remove").status == 3
