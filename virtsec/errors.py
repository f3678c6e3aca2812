"""Every failure virtsec reports: one sentence saying what happened, one saying what to do.

Modules raise these; only `virtsec.cli` prints them and turns them into an exit status:

====== ==================================================================
status meaning
====== ==================================================================
1      `Failed`: it was attempted and did not work; nothing was left behind
2      `BadInput`: what was asked for makes no sense
3      `Refused`: it would weaken confinement, or touch what runs or is not ours
====== ==================================================================
"""

from __future__ import annotations

from typing import ClassVar


class VirtsecError(Exception):
    """Base of all errors.

    `sentence` says what happened and to what, `remedy` what to do about it. Both are whole
    sentences without a line break; the remedy may be empty where there is none.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, sentence: str, remedy: str = "") -> None:
        super().__init__(sentence)
        self.sentence = " ".join(sentence.split())
        self.remedy = " ".join(remedy.split())


class Failed(VirtsecError):
    """Something was attempted and did not work."""

    exit_status = 1


class HostNotReady(Failed):
    """The host lacks something: a security module, libvirt, a package, `virtsec setup`."""


class LibvirtFailed(Failed):
    """libvirt refused a call or could not be reached."""


class PolicyFailed(Failed):
    """The security module did not take a policy, or does not have it loaded."""


class RootfsFailed(Failed):
    """A root file system could not be unpacked, shifted or labelled."""


class BadInput(VirtsecError):
    """A name, address, path or option that makes no sense."""

    exit_status = 2


class NotFound(BadInput):
    """No domain, network or file of that name."""


class Refused(VirtsecError):
    """It would weaken confinement, or touch something that runs or is not ours."""

    exit_status = 3
