"""The documents that `--json` prints."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from docs.generate import documents, records
from tests.unit.cli.library import LABEL, Library, Said
from virtsec.attacks.verified import Verified
from virtsec.audits.audited import Audited
from virtsec.cli.output import Output
from virtsec.errors import Failed
from virtsec.mac.protocol import Enforcement

Virtsec = Callable[..., Said]


@pytest.mark.parametrize("words", [("--json", "list"), ("list", "--json")])
def test_json_is_asked_for_before_or_after_the_command(
    virtsec: Virtsec, words: tuple[str, ...]
) -> None:
    assert virtsec(*words).json["enforcement"] == "enforcing"


def test_list(virtsec: Virtsec, library: Library) -> None:
    document = virtsec("list", "--json").json
    assert library.asked == [("list", False)]
    assert document["containers"][0] == {
        "name": "vs1",
        "state": "running",
        "ours": True,
        "confinement": "confined",
        "label": LABEL.process,
        "kind": "unprivileged",
        "addresses": ["192.168.122.10"],
    }


def test_info(virtsec: Virtsec) -> None:
    document = virtsec("info", "vs1", "--json").json
    assert document["enforcement"] == "enforcing"
    assert document["label"]["file"] == LABEL.file
    assert document["ids"] == {"start": 1048576, "count": 65536}
    assert document["source"] is None


@pytest.mark.parametrize(
    ("words", "within"),
    [
        (("define", "vs1"), ()),
        (("define --dry-run", "vs1"), ()),
        (("info", "vs1"), ()),
        (("list",), ("containers", 0)),
        (("start", "vs1"), ("results", 0)),
        (("shutdown", "vs1"), ("results", 0)),
        (("undefine", "vs1"), ("results", 0)),
        (("label", "vs1"), ("results", 0)),
    ],
    ids=lambda each: each[0] if each else "",
)
def test_a_document_has_the_keys_that_the_reference_shows(
    virtsec: Virtsec, words: tuple[str, ...], within: tuple[str | int, ...]
) -> None:
    said = documents.documents()[words[0]]
    (record,) = {record for name, record in documents.named().items() if f"`{name}`" in said}
    document = virtsec(*" ".join(words).split(), "--json").json
    outside = set(re.findall(r'"(\w+)"', said)) if not within else set()
    for key in within:
        document = document[key]
    assert set(document) == {field.name for field in records.fields(record)} | outside


def test_define(virtsec: Virtsec) -> None:
    document = virtsec("define", "vs1", "--json").json
    assert document["name"] == "vs1"
    assert document["kind"] == "unprivileged"
    assert document["rootfs"] == "/var/lib/virtsec/vs1/rootfs"


def test_define_dry_run(virtsec: Virtsec) -> None:
    document = virtsec("define", "vs1", "--dry-run", "--json").json
    assert document["xml"] == "<domain/>\n"
    assert document["policy"] == "(type vs1_t)\n"
    assert document["steps"] == [{"step": "SetAutostart", "does": "start vs1 with the host"}]
    assert document["spec"]["limits"]["memory_mib"] == 512


def test_several_names_give_results_and_errors_and_the_status_of_the_worst(
    virtsec: Virtsec, library: Library
) -> None:
    said = virtsec("start", "missing", "edited", "broken", "vs1", "--json")
    assert said.status == 3
    assert [result["name"] for result in said.json["results"]] == ["vs1"]
    assert [entry["name"] for entry in said.json["errors"]] == ["missing", "edited", "broken"]
    assert [entry["error"]["status"] for entry in said.json["errors"]] == [2, 3, 1]
    assert said.err == ""


@pytest.mark.parametrize("command", ["shutdown", "reboot", "destroy"])
def test_actions(virtsec: Virtsec, library: Library, command: str) -> None:
    document = virtsec(command, "vs1", "vs2", "vs1", "--json").json
    assert document["errors"] == []
    assert [result["action"] for result in document["results"]] == [command, command]
    assert library.asked == [(command, "vs1"), (command, "vs2")]


def test_undefine_keeps_storage_unless_told(virtsec: Virtsec, library: Library) -> None:
    assert virtsec("undefine", "vs1", "--json").json["results"][0]["removed"] is False
    assert virtsec("undefine", "vs1", "--storage", "--json").json["results"][0]["removed"] is True
    assert library.asked == [("undefine", ("vs1", False)), ("undefine", ("vs1", True))]


def test_label(virtsec: Virtsec) -> None:
    (result,) = virtsec("label", "vs1", "--json").json["results"]
    assert result["label"]["file"] == LABEL.file


def test_an_argument_of_init_that_looks_like_ours_is_not(
    virtsec: Virtsec, library: Library
) -> None:
    said = virtsec("define", "vs1", "--init-arg=--json")
    assert said.out.startswith("Defined vs1")
    assert library.asked[0][1].init_args == ("--json",)


def test_what_is_interrupted_is_an_error_like_others(virtsec: Virtsec, library: Library) -> None:
    library.failure = KeyboardInterrupt()
    said = virtsec("info", "vs1", "--json")
    assert (said.status, said.err) == (130, "")
    assert said.json["error"] == {
        "sentence": "It was interrupted; nothing was left behind.",
        "remedy": "",
        "status": 130,
        "notes": [],
    }
    library.failure.add_note("Could not undo 'make /x'.")
    error = virtsec("info", "vs1", "--json").json["error"]
    assert error["sentence"] == "It was interrupted."
    assert error["notes"] == ["Could not undo 'make /x'."]


@pytest.mark.parametrize(
    "words", [("audit", "--output", "/nonexistent/x.svg"), ("verify", "vs1", "--report", "/none/x")]
)
def test_a_file_that_cannot_be_written_is_the_one_thing_told(
    virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    audited = Audited("selinux", Enforcement.ENFORCING, True, 5, (), (), (), (), ())
    verified = Verified("vs1", None, "selinux", LABEL.process, False, "6.12", True, (), {}, ())
    monkeypatch.setattr("virtsec.commands.auditing.audit", lambda _host: audited)
    monkeypatch.setattr("virtsec.commands.verifying.verify", lambda *_: verified)
    said = virtsec(*words, "--json")
    assert (said.status, said.err) == (1, "")
    assert "could not be written to" in said.json["error"]["sentence"]


@pytest.mark.parametrize("late", [KeyboardInterrupt(), Failed("It broke.", "Mend it.")])
def test_what_comes_after_the_document_adds_none(
    virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch, late: BaseException
) -> None:
    show = Output.show

    def shown(output: Output, document: dict[str, Any], render: Callable[[], None]) -> None:
        show(output, document, render)
        if "results" in document:
            raise late

    monkeypatch.setattr(Output, "show", shown)
    said = virtsec("start", "vs1", "--json")
    assert [each["name"] for each in said.json["results"]] == ["vs1"]
    assert said.status in {1, 130}
    assert said.err
