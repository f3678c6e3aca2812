"""What is counted is told as people say it: one in the singular."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.cli.library import Said
from virtsec.audits.audited import Audited
from virtsec.commands.doctoring import Diagnosis
from virtsec.commands.suggesting import Suggested
from virtsec.diagnosis.check import Checked
from virtsec.mac.denial import Weighed
from virtsec.mac.protocol import Enforcement
from virtsec.spec import Addition

Virtsec = Callable[..., Said]
WRONG = Checked("host", "hook", False, "It is gone.", "Run `virtsec setup`.", False, False)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "0 ways are open, 1 thing is wrong (smack, enforcing)."),
        (2, "0 ways are open, 2 things are wrong (smack, enforcing)."),
    ],
)
def test_what_an_audit_found(
    number: int, said: str, virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Audited(
        "smack", Enforcement.ENFORCING, False, 5, (), (), (), (), tuple([WRONG] * number)
    )
    monkeypatch.setattr("virtsec.commands.auditing.audit", lambda _host: found)
    assert virtsec("audit").out.endswith(f"\n{said}\n")


@pytest.mark.parametrize(("number", "said"), [(1, "1 of 1 is wrong."), (2, "2 of 2 are wrong.")])
def test_what_doctor_found(
    number: int, said: str, virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doctor(*_: Any, **__: Any) -> Diagnosis:
        return Diagnosis(False, tuple([WRONG] * number))

    monkeypatch.setattr("virtsec.commands.doctoring.doctor", doctor)
    assert virtsec("doctor").out.endswith(f"\n{said}\n")


@pytest.mark.parametrize(("number", "said"), [(1, "refused 1 time by"), (2, "refused 2 times by")])
def test_how_often_something_was_refused(
    number: int, said: str, virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch
) -> None:
    addition = Addition("http_cache_port_t", "tcp_socket", ("name_bind",))
    each = Weighed(addition, "It could listen there.", "", "", number, ("nginx",), ())

    def suggest(*_: Any, **__: Any) -> Suggested:
        return Suggested("vs1", "selinux", (each,), (), applied=False)

    monkeypatch.setattr("virtsec.commands.suggesting.suggest_policy", suggest)
    assert said in virtsec("policy", "suggest", "vs1").out


def test_where_there_is_no_base_the_next_command_is_told(
    virtsec: Virtsec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("virtsec.commands.bases.list_bases", list)
    assert virtsec("base", "list").out == (
        "There is no base yet. Next: virtsec base create NAME --from TAR\n"
    )
    assert virtsec("base", "list", "--json").out == '{\n  "bases": []\n}\n'
