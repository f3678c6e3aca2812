"""Ctrl-C and the signals that mean the same: what is told, and how the command ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.cli.library import LABEL, Library, Said
from virtsec.commands.results import Started
from virtsec.errors import Failed
from virtsec.mac.protocol import Enforcement

Virtsec = Callable[..., Said]


def test_an_interrupt_ends_with_130_and_says_nothing_is_left(
    virtsec: Virtsec, library: Library
) -> None:
    library.failure = KeyboardInterrupt()
    assert virtsec("define", "vs1") == Said(130, "", "interrupted; nothing was left behind\n")


def test_an_interrupt_that_left_something_does_not_claim_otherwise(
    virtsec: Virtsec, library: Library
) -> None:
    library.failure = KeyboardInterrupt()
    library.failure.add_note("Could not undo 'make /x'.")
    said = virtsec("define", "vs1")
    assert said.err == "interrupted\nCould not undo 'make /x'.\n"


def test_what_could_not_be_undone_of_several_is_told_however_the_command_ends(
    virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = Failed("It broke.")
    failed.add_note("Could not undo 'make /x'.")

    def label(name: str, _host: Any, _watch: Any) -> Any:
        raise failed if name == "vs1" else KeyboardInterrupt

    monkeypatch.setattr("virtsec.commands.definition.label", label)
    said = virtsec("label", "vs1", "vs2")
    assert said.status == 130
    assert said.err.endswith("interrupted\nCould not undo 'make /x'.\n")


def test_what_was_done_with_others_before_an_interrupt_is_told(
    virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(name: str, _host: Any, **_: Any) -> Any:
        if name == "vs1":
            return Started(name, LABEL.process, Enforcement.ENFORCING)
        raise Failed("It broke.", "Mend it.") if name == "vs2" else KeyboardInterrupt

    monkeypatch.setattr("virtsec.commands.lifecycle.start", start)
    said = virtsec("start", "vs1", "vs2", "vs3")
    assert said.out.startswith("Started vs1 as ")
    assert said.err.endswith("interrupted\nWhat was asked for was done with vs1.\n")
    error = virtsec("start", "vs1", "vs2", "vs3", "--json").json["error"]
    assert error["sentence"] == "It was interrupted."
    assert error["notes"] == ["What was asked for was done with vs1.", "vs2: It broke."]


def test_an_interrupt_while_a_failure_is_undone_tells_what_could_not_be(
    virtsec: Virtsec, library: Library
) -> None:
    library.failure = KeyboardInterrupt()
    library.failure.__context__ = Failed("It broke.")
    library.failure.__context__.add_note("Could not undo 'make /x'.")
    assert virtsec("define", "vs1").err == "interrupted\nCould not undo 'make /x'.\n"


def test_whoever_asks_twice_has_it_ended_once(
    virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)  # nohup(1) has SIGHUP ignored
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                os.kill(os.getpid(), number)

    monkeypatch.setattr("virtsec.commands.listing.list_domains", killed)
    assert virtsec("list").status == 128 + signal.SIGTERM


def test_sigterm_is_an_interrupt_too(virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: Any, **__: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("virtsec.commands.listing.list_domains", killed)
    said = virtsec("list")
    assert said.status == 128 + signal.SIGTERM
    assert "nothing was left behind" in said.err
