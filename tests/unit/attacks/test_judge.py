"""What an attack shows: said inside, seen outside, and what follows."""

from __future__ import annotations

import datetime
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from virtsec.attacks.probe import Defence, Position
from virtsec.attacks.probes import GROUPS, PROBES
from virtsec.attacks.proof import Result, Side, Verdict, judge
from virtsec.attacks.proven import proven, refused_by
from virtsec.attacks.report import page
from virtsec.attacks.verified import Verified
from virtsec.commands.verifying import active_at, list_attacks, verified
from virtsec.enter.door import Target
from virtsec.errors import BadInput

PROBE = PROBES["host-file-read"]
ACTIVE = active_at(Position.INSIDE, privileged=False)
LABEL = (Defence.MAC,)
REFUSED = {"refused": "EACCES", "why": "Permission denied"}


def judged(said: dict[str, str], seen: tuple[str, ...] = ()) -> Result:
    return judge(PROBE, said, seen, ACTIVE, LABEL)


class TestVerdict:
    def test_what_is_refused_held(self) -> None:
        result = judged(REFUSED)
        assert (result.verdict, result.refused_by) == (Verdict.HELD, Defence.MAC)
        assert result.evidence == "EACCES: Permission denied"

    def test_what_succeeded_is_broken(self) -> None:
        assert judged({"got": "read it"}).verdict is Verdict.BROKEN

    @pytest.mark.parametrize(
        "said", [REFUSED, {"failed": "no idea"}, {"not applicable": "never tried"}]
    )
    def test_what_is_seen_outside_stands_above_what_is_said(self, said: dict[str, str]) -> None:
        result = judged(said, ("the host: key changed",))
        assert result.verdict is Verdict.BROKEN
        assert "the host: key changed" in result.evidence
        assert result.refused_by is None

    def test_an_attack_that_went_wrong_proves_nothing(self) -> None:
        assert judged({"failed": "status 1"}).verdict is Verdict.UNCLEAR
        assert judged({}).verdict is Verdict.UNCLEAR

    def test_a_refusal_of_what_never_succeeds_is_not_counted(self) -> None:
        assert judge(PROBE, REFUSED, (), ACTIVE, None).verdict is Verdict.NOT_PROVEN

    def test_what_cannot_be_tried_says_why(self) -> None:
        result = judged({"not applicable": "no such device"})
        assert (result.verdict, result.evidence) == (Verdict.NOT_APPLICABLE, "no such device")


class TestRefusedBy:
    def test_it_is_the_first_that_is_in_force(self) -> None:
        alone = (Defence.NAMESPACES, Defence.USER, Defence.MAC)
        assert refused_by(alone, ACTIVE) is Defence.NAMESPACES
        escaped = active_at(Position.ESCAPED, privileged=False)
        assert refused_by(alone, escaped) is Defence.USER
        assert refused_by(alone, active_at(Position.ESCAPED, privileged=True)) is Defence.MAC

    def test_none_when_no_one_would(self) -> None:
        assert refused_by((), ACTIVE) is None


def run(*results: Result) -> Verified:
    target = Target(1, 1, "selinux", "system_u:system_r:vs1_t:s0:c1,c2")
    return verified(Side("vs1", target, {}, "label", 100000), "vs2", results)


class TestSum:
    def test_all_held(self) -> None:
        found = run(judged(REFUSED), judged({"not applicable": "x"}))
        assert found.held
        assert found.counts["held"] == 1

    @pytest.mark.parametrize("said", [{"got": "x"}, {"failed": "x"}])
    def test_one_that_did_not_is_enough(self, said: dict[str, str]) -> None:
        assert not run(judged(REFUSED), judged(said)).held

    def test_nothing_held_is_no_proof(self) -> None:
        assert not run(judged({"not applicable": "x"})).held


class TestCatalogue:
    def test_every_attack_says_what_it_tries_and_where_to_read_of_it(self) -> None:
        for probe in PROBES.values():
            assert probe.sentence
            assert not probe.sentence.endswith(".")
            assert probe.see
            assert probe.promise.endswith(".")

    def test_no_two_have_one_id(self) -> None:
        assert len(PROBES) == sum(len(group.probes) for group in GROUPS)

    @pytest.mark.parametrize("model", ["selinux", "smack"])
    @pytest.mark.parametrize("privileged", [True, False])
    def test_over_sixty_are_proven_to_bite(self, model: str, privileged: bool) -> None:
        known = proven(model, privileged=privileged)
        assert len(known) >= 60
        assert not set(known) - set(PROBES)

    def test_an_unknown_id_is_one_sentence(self) -> None:
        with pytest.raises(BadInput, match="no attack xyz"):
            list_attacks(["host-file-read", "xyz"])


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [f"{tag} {name}" for name, _ in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


class TestReport:
    def test_what_did_not_hold_stands_before_all_that_did(self) -> None:
        broken = replace(judged({"got": "all of it"}), sentence="reach the key")
        words = "".join(Page(page([run(judged(REFUSED), broken)])).words)
        assert words.index("reach the key: all of it") < words.index("EACCES")

    def test_it_is_one_file_with_every_attack_and_its_evidence(self) -> None:
        hostile = replace(judged({"got": "<script>alert(1)</script>"}), sentence="<b>x</b> & y")
        found = run(judged(REFUSED), hostile)
        text = page([found], datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC))
        shown = Page(text)
        words = " ".join(shown.words)
        assert shown.references == []
        assert "url(" not in text
        assert "<script" not in text
        for expected in (
            "2026-01-02 03:04 UTC",
            "EACCES: Permission denied",
            "<script>alert(1)</script>",
            "<b>x</b> & y",
            found.label,
            "Not all of it holds.",
        ):
            assert expected in words
