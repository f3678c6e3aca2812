"""libvirt's errors, as sentences."""

from __future__ import annotations

import pytest

from virtsec.domain import faults
from virtsec.errors import LibvirtFailed, NotFound, Refused

REFUSED = (
    "Hook script execution failed: internal error: Child process (LC_ALL=C PATH=/usr/sbin:/usr/bin "
    "HOME=/ /etc/libvirt/hooks/lxc.d/50-virtsec vs1 prepare begin -) unexpected exit status 1: "
    "virtsec: vs1 is not started: its root is gone; put it back.\n"
)


def test_a_refusal_by_our_hook_is_told_in_its_own_words() -> None:
    error = faults.translate(faults.HOOK_SCRIPT_FAILED, REFUSED, "start vs1")
    assert isinstance(error, Refused)
    assert error.sentence == "vs1 is not started: its root is gone; put it back."


def test_a_refusal_by_somebody_elses_hook_says_so() -> None:
    message = REFUSED.replace("virtsec: vs1", "no: vs1")
    error = faults.translate(faults.HOOK_SCRIPT_FAILED, message, "start vs1")
    assert isinstance(error, Refused)
    assert error.sentence.startswith("A hook of this host refused to start vs1")


def test_what_the_controller_says_is_told_as_a_failure() -> None:
    message = (
        "internal error: guest failed to start: 2025-01-01 00:00:00.000+0000: 1: info: x\n"
        "virtsec: the container is not started: there is no label.\n"
    )
    error = faults.translate(1, message, "start vs1")
    assert isinstance(error, LibvirtFailed)
    assert "start vs1: the container is not started: there is no label." in error.sentence


@pytest.mark.parametrize(
    ("code", "kind"), [(42, NotFound), (43, NotFound), (38, LibvirtFailed), (None, LibvirtFailed)]
)
def test_other_errors_are_one_sentence(code: int | None, kind: type[Exception]) -> None:
    error = faults.translate(code, "line one\nline two\x1b[31m", "start vs1")
    assert type(error) is kind
    assert "\n" not in error.sentence
    assert "\x1b" not in error.sentence
    assert error.sentence.startswith("Could not start vs1")


def test_a_domain_that_names_virtsec_speaks_for_nobody() -> None:
    assert faults.spoken("domain 'virtsec' not found; see 50-virtsec vs1 prepare") is None
