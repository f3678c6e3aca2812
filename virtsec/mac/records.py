"""The kernel's records of refusals, which both modules tell through the audit system.

auparse, the audit system's own library, finds them where auditd keeps them; else, and since it
ended, the journal has them, and the kernel's log where nobody asked for them.
"""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from virtsec.errors import Failed, HostNotReady

JOURNALCTL = "/usr/bin/journalctl"
AUDIT_LOG = Path("/var/log/audit/audit.log")
#: Is there while auditd runs (auditd(8)).
AUDITD = Path("/run/auditd.pid")
#: AUDIT_AVC (linux/audit.h): what both modules tell refusals by.
AVC = 1400


def records(since: datetime.datetime | None, log: Path = AUDIT_LOG) -> list[str]:
    """Records of refusals, a line each, of all time without `since`.

    `log` is the newest of auditd's files; the others are beside it (audit.log.1 is the next).

    Raises `HostNotReady` where auditd keeps them and auparse is not there to read them, and
    `Failed` when the journal cannot be read.
    """
    if not log.exists():
        return _from_journal(since)
    try:
        import auparse  # noqa: PLC0415  (Debian's python3-audit; only needed here)
    except ImportError:
        raise HostNotReady(
            "auditd keeps what was refused, and its library is not there to read it.",
            "Run `apt install python3-audit`.",
        ) from None
    found = list(_from_auditd(auparse, log, since))
    if not AUDITD.exists():
        ended = datetime.datetime.fromtimestamp(log.stat().st_mtime, datetime.UTC)
        found += _from_journal(max(since or ended, ended, key=datetime.datetime.timestamp))
    return found


def _from_auditd(auparse: Any, log: Path, since: datetime.datetime | None) -> Iterator[str]:
    earliest = 0.0 if since is None else since.timestamp()
    files = [str(each) for each in _rotated(log) if each.stat().st_mtime >= earliest]
    if not files:
        return
    parser = auparse.AuParser(auparse.AUSOURCE_FILE_ARRAY, files)
    # Not by auparse's own search: what to call between two of its finds is not documented, and
    # it is easily made to pass over every second event.
    while parser.parse_next_event():
        if parser.get_timestamp().sec >= earliest:
            yield from _refusals(parser)


def _rotated(log: Path) -> list[Path]:
    """`log` and what it was rotated to, the oldest first."""
    numbers = (each.suffix[1:] for each in log.parent.glob(f"{log.name}.*"))
    older = sorted((int(each) for each in numbers if each.isdecimal()), reverse=True)
    return [*(log.with_name(f"{log.name}.{number}") for number in older), log]


def _refusals(parser: Any) -> Iterator[str]:
    """The records of refusals in the event that `parser` is at."""
    more = parser.first_record()
    while more:
        if parser.get_type() == AVC:
            yield parser.get_record_text()
        more = parser.next_record()


def _from_journal(since: datetime.datetime | None) -> list[str]:
    words = [JOURNALCTL, "--quiet", "--output=cat"]
    if since is not None:
        words.append(f"--since=@{int(since.timestamp())}")
    told = _lines(*words, "_TRANSPORT=audit", f"_AUDIT_TYPE={AVC}")
    printed = _lines(*words, "--grep", "avc:|lsm=SMACK", "_TRANSPORT=kernel")
    return told or printed


def _lines(*words: str) -> list[str]:
    done = subprocess.run(
        words,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    # With --grep, 1 says that nothing was found, as of grep.
    if done.returncode and done.stderr:
        raise Failed(
            f"The journal could not be read: {done.stderr.strip()}", "See `journalctl --boot`."
        )
    return done.stdout.splitlines()
