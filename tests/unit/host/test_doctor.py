"""doctor: what is wrong is found with its remedy, and `fix` mends what it says it can mend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from tests.unit.fakes import FakeMac, FakeSystemd, fake_host, foreign, record
from tests.unit.samples import sample
from virtsec.commands.doctoring import doctor
from virtsec.diagnosis import containers
from virtsec.diagnosis.check import Check, Fault, examine
from virtsec.diagnosis.containers import container_checks, is_ours
from virtsec.diagnosis.left import left_check
from virtsec.domain.claims import claims
from virtsec.domain.limits import slice_of
from virtsec.errors import Failed, HostNotReady
from virtsec.host.lock import host_lock
from virtsec.plans.host import policy_of
from virtsec.spec import Served


@pytest.fixture
def broken() -> list[str]:
    """What is wrong now."""
    return ["it"]


def looking(broken: list[str], fix: Callable[[], None] | None = None) -> Iterator[Check]:
    """A check that finds a fault while something is broken."""

    def look() -> Fault | None:
        return Fault("It is broken.", "Mend it.", fix) if broken else None

    yield Check("it", "It is whole.", look)


def test_what_is_good_is_said_to_hold() -> None:
    (found,) = examine("host", looking([]), fix=True)
    assert (found.good, found.sentence, found.remedy, found.fixed) == (
        True,
        "It is whole.",
        "",
        False,
    )


def test_a_fault_comes_with_its_remedy_and_is_left_without_fix(broken: list[str]) -> None:
    (found,) = examine("host", looking(broken, broken.clear), fix=False)
    assert (found.good, found.sentence, found.remedy) == (False, "It is broken.", "Mend it.")
    assert found.fixable
    assert broken


def test_fix_mends_and_looks_again(broken: list[str]) -> None:
    (found,) = examine("host", looking(broken, broken.clear), fix=True)
    assert (found.good, found.fixed) == (True, True)


def test_a_fix_that_does_not_help_is_no_fix(broken: list[str]) -> None:
    (found,) = examine("host", looking(broken, lambda: None), fix=True)
    assert (found.good, found.fixed) == (False, False)


def test_a_fix_that_fails_says_why(broken: list[str]) -> None:
    def fail() -> None:
        raise Failed("The disk is full.", "Make room.")

    (found,) = examine("host", looking(broken, fail), fix=True)
    assert not found.good
    assert found.sentence == "It is broken. It could not be mended: The disk is full."
    assert found.remedy == "Make room."


def test_what_the_system_refuses_is_a_fault_and_ends_no_run(broken: list[str]) -> None:
    def fail() -> None:
        raise OSError(30, "Read-only file system", "/etc/x")

    checks = [
        *looking(broken, fail),
        Check("next", "It is.", fail),
        Check("last", "It is.", lambda: None),
    ]
    found = examine("host", checks, fix=True)
    assert [(each.id, each.good, each.sentence) for each in found] == [
        ("it", False, "It is broken. It could not be mended: /etc/x: Read-only file system."),
        ("next", False, "/etc/x: Read-only file system."),
        ("last", True, "It is."),
    ]


def test_an_error_while_looking_is_a_fault() -> None:
    def look() -> Fault | None:
        raise Failed("It cannot be read.", "Mend it.")

    (found,) = examine("host", [Check("it", "It is whole.", look)], fix=False)
    assert (found.good, found.sentence, found.fixable) == (False, "It cannot be read.", False)


def test_a_host_that_cannot_be_reached_is_one_fault_and_the_rest_is_not_asked() -> None:
    def connect() -> None:
        raise HostNotReady("No module runs.", "Boot with one.")

    found = doctor(connect)  # type: ignore[arg-type]
    assert not found.healthy
    assert [each.id for each in found.checks] == ["kernel", "reachable"]


def test_the_domains_of_others_are_not_looked_at() -> None:
    assert not is_ours(foreign())
    assert is_ours(record("vs1", sample("vs1").xml))


def test_what_is_left_without_its_domain_is_found_and_taken_away() -> None:
    host = fake_host(record("vs1", sample("vs1").xml))
    policies = cast(FakeMac, host.mac).policies
    policies |= {"vs1": "(container vs1)", "gone": "(container gone)"}
    (found,) = examine("host", [left_check(host)], fix=False)
    assert (found.good, found.fixable) == (False, True)
    assert found.sentence.startswith("gone is no domain any more; ")
    (mended,) = examine("host", [left_check(host)], fix=True)
    assert mended.good
    assert list(policies) == ["vs1"]


def test_limits_that_are_left_go_where_the_container_was_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("virtsec.diagnosis.left.STORE", tmp_path)
    host = fake_host(record("vs1", sample("vs1").xml))
    for name in ("vs1", "gone"):
        (tmp_path / name).mkdir()
    for name in ("vs1", "gone", "foreign"):
        host.systemd.set_properties(slice_of(name), {"TasksMax": "9"})
    (found,) = examine("host", [left_check(host)], fix=False)
    assert found.sentence.startswith("gone is no domain any more; ")
    (mended,) = examine("host", [left_check(host)], fix=True)
    assert mended.good
    limited = cast(FakeSystemd, host.systemd).units
    assert list(limited) == [slice_of("vs1"), slice_of("foreign")]


def test_an_edit_is_found_and_not_mended() -> None:
    xml = sample("vs1").xml
    edited = xml.replace('<capabilities policy="deny">', '<capabilities policy="allow">')
    assert edited != xml
    ours = record("vs1", edited)
    checks = container_checks(ours, {}, fake_host(ours))
    (found,) = (each for each in examine("vs1", checks, fix=True) if each.id == "definition")
    assert not found.good
    assert "capabilities" in found.sentence
    assert not found.fixable


def test_one_of_another_security_module_is_told_so_and_asked_nothing_else() -> None:
    ours = record("vs1", sample("vs1", smack=True).xml)
    checks = container_checks(ours, {}, fake_host(ours))
    assert [each.id for each in checks] == ["definition", "module"]
    (found,) = (each for each in examine("vs1", checks, fix=True) if each.id == "module")
    assert found.sentence == "It was defined under smack, and selinux runs: it is not started."
    assert not found.fixable


def test_what_is_mended_is_the_container_as_it_is_by_then(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(containers, "host_lock", partial(host_lock, directory=tmp_path / "lock"))
    before = sample("vs1")
    linked = sample("vs1", served=(Served(5432),))
    host = fake_host(record("vs1", linked.xml))  # by another virtsec, since doctor has read it
    checks = container_checks(record("vs1", before.xml), {}, host)
    list(examine("vs1", (each for each in checks if each.id == "policy-loaded"), fix=True))
    assert host.mac.loaded()["vs1"] == policy_of(linked.container, host.mac).text
    assert host.mac.loaded()["vs1"] != policy_of(before.container, host.mac).text


def test_a_label_that_another_domain_has_is_found() -> None:
    ours, other = record("vs1", sample("vs1").xml), record("theirs", sample("vs1").xml)
    checks = container_checks(
        ours, {each.name: claims([each]) for each in (ours, other)}, fake_host(ours, other)
    )
    (found,) = (each for each in examine("vs1", checks, fix=False) if each.id == "alone")
    assert "theirs has the same label and ids and tree" in found.sentence
