"""libvirt's errors, told as one sentence each.

libvirt reports a hook's refusal as
`Hook script execution failed: internal error: Child process (… NAME prepare begin -) unexpected
exit status 1: STDERR`, and a controller's failure as `internal error: guest failed to start: …`.
Where our own hook or controller spoke, its line starts with `virtsec: `, and that line is the
sentence.
"""

from __future__ import annotations

import re

from virtsec.errors import LibvirtFailed, NotFound, Refused, VirtsecError

# Numbers of virterror.h (virErrorNumber); part of libvirt's ABI.
NO_SUPPORT = 3
AUTH_CODES = frozenset({29, 45, 79, 94})  # operation denied; auth failed, cancelled, unavailable
NO_DOMAIN = 42
NO_NETWORK = 43
HOOK_SCRIPT_FAILED = 70

_OURS = re.compile(r"(?:^|[\n:])\s*virtsec: ([^\n]+)")


def spoken(message: str) -> str | None:
    """The sentence our own hook or controller left in libvirt's `message`, or None."""
    found = _OURS.search(message)
    return _printable(found[1]) if found else None


def translate(code: int | None, message: str, doing: str) -> VirtsecError:
    """The error to raise for libvirt's (`code`, `message`) when `doing` ("start vs1") failed."""
    sentence = spoken(message)
    if code == HOOK_SCRIPT_FAILED and sentence is not None:
        return Refused(sentence)  # the hook's sentence says what to do, too
    if sentence is not None:
        return LibvirtFailed(f"Could not {doing}: {sentence}")
    said = _printable(message).rstrip(".") or "no reason given"
    if code == HOOK_SCRIPT_FAILED:
        return Refused(
            f"A hook of this host refused to {doing}: {said}.", "See /etc/libvirt/hooks."
        )
    if code == NO_DOMAIN:
        return NotFound(f"Could not {doing}: there is no such domain.", "See `virtsec list --all`.")
    if code == NO_NETWORK:
        return NotFound(f"Could not {doing}: there is no such network.", "See `virsh net-list`.")
    return LibvirtFailed(f"Could not {doing}: libvirt says: {said}.")


def _printable(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
