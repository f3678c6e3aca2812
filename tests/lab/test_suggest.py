"""policy suggest: from a refusal to working, without a promise given up."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from demo.containers import Container
from demo.shell import run, virsh, virtsec, wait_for
from machine.qemu import Lsm
from verified import verified

from virtsec.mac.records import AUDIT_LOG, AUDITD, records

pytestmark = pytest.mark.once

#: A port whose type no container's policy knows.
PORT = 8080
SITE = f"server {{ listen {PORT}; root /var/www/html; }}\n"
DROP = Path("/srv/drop")


def suggested(*words: str) -> Any:
    """What `virtsec policy suggest --json` says of vs1."""
    return json.loads(virtsec("policy", "suggest", "vs1", *words, "--json").stdout)


def verdicts(one: Container, other: Container) -> dict[str, str]:
    """What became of each attack."""
    _, result = verified(one.name, "--against", other.name)
    return {each["id"]: each["verdict"] for each in result["results"]}


@pytest.fixture
def restored(vs1: Container) -> Iterator[None]:
    """Whatever was added to vs1 is taken away again."""
    before = virsh("dumpxml", "--inactive", vs1.name).stdout
    yield
    virsh("define", "/dev/stdin", stdin=before)
    virtsec("doctor", "--fix", check=False)


@pytest.fixture
def works(vs1: Container, lsm: Lsm, restored: None) -> Iterator[Callable[[], bool]]:
    """Something vs1 wants and its policy does not know; tells whether it works now."""
    now = run("date", "+%F %T").stdout.strip()
    if lsm is Lsm.SELINUX:
        vs1.ssh("cat > /etc/nginx/sites-enabled/other", stdin=SITE)

        def wanted() -> bool:
            vs1.ssh("systemctl restart nginx", check=False)
            page = f"http://{vs1.address()}:{PORT}/"
            return vs1.name in run("curl", "-s", "--max-time", "20", page, check=False).stdout

    else:
        DROP.mkdir(mode=0o777, exist_ok=True)
        DROP.chmod(0o777)
        run("setfattr", "-n", "security.SMACK64", "-v", "drop", str(DROP))

        def wanted() -> bool:
            return vs1.ssh(f"touch /mnt{DROP}/there", check=False).returncode == 0

    wanted.since = now  # type: ignore[attr-defined]
    yield wanted
    if lsm is Lsm.SELINUX:
        vs1.ssh("rm -f /etc/nginx/sites-enabled/other; systemctl restart nginx")
    else:
        run("rm", "-r", str(DROP))


def test_a_refusal_goes_through_suggest_to_working_and_no_attack_turns(
    vs1: Container, vs2: Container, works: Callable[[], bool]
) -> None:
    since = works.since  # type: ignore[attr-defined]
    before = verdicts(vs1, vs2)
    assert not works()
    wait_for("the refusal on record", lambda: suggested("--since", since)["suggestions"])
    found = suggested("--since", since)
    assert all(each["risk"].startswith("It would let") for each in found["suggestions"])
    for _ in range(5):  # what was refused first may have hidden the next
        assert suggested("--since", since, "--apply")["applied"]
        if any(works() for _ in range(3)):  # a busy machine may answer late
            break
    assert works()
    assert verdicts(vs1, vs2) == before
    shown = virtsec("policy", "show", vs1.name).stdout
    assert "Added by `virtsec policy suggest --apply`." in shown
    assert virtsec("policy", "diff", vs1.name).returncode == 0


def test_what_would_break_a_promise_is_told_and_never_added(
    vs1: Container, vs2: Container, restored: None
) -> None:
    since = run("date", "+%F %T").stdout.strip()
    virtsec("verify", vs1.name, "--against", vs2.name, "--only", "other-file-read")
    wait_for("the refusal on record", lambda: suggested("--since", since)["never"])
    found = suggested("--since", since, "--apply")
    assert found["never"]
    assert all(each["breaks"] and each["instead"] for each in found["never"])
    policy = virtsec("policy", "show", vs1.name).stdout
    assert vs1.name in policy
    for each in (each["addition"] for each in found["never"]):
        permissions = " ".join(each["access"])
        assert f"(allow vs1_t {each['object']} ({each['kind']} ({permissions})))" not in policy
        assert f"vs1 {each['object']} {''.join(each['access'])}" not in policy


def test_no_record_of_a_refusal_is_passed_over(
    vs1: Container, vs2: Container, tmp_path: Path
) -> None:
    """Of those that follow each other at once too, and in logs that were rotated."""
    virtsec("verify", vs1.name, "--against", vs2.name, "--only", "host-file-read")
    lines = AUDIT_LOG.read_text().splitlines(keepends=True)[-2000:]
    log = tmp_path / AUDIT_LOG.name
    for name, part in ((f"{log.name}.1", lines[:1000]), (log.name, lines[1000:])):
        log.with_name(name).write_text("".join(part))
    kept = re.findall(r"^type=AVC .*?msg=(audit\(.*?\))", "".join(lines), flags=re.MULTILINE)
    assert len(kept) >= 2
    found = "".join(records(None, log))
    assert [each for each in kept if each not in found] == []


def test_a_refusal_is_on_record_when_auditd_has_ended(vs1: Container, vs2: Container) -> None:
    """What it kept before stays on record as well."""
    since = run("date", "+%F %T").stdout.strip()

    def never() -> list[Any]:
        return [each["addition"] for each in suggested("--since", since)["never"]]

    only = "--against", vs2.name, "--only"
    virtsec("verify", vs1.name, *only, "host-file-read")
    wait_for("the first refusal on record", never)
    kept = never()
    run("systemctl", "kill", "auditd")
    try:
        wait_for("the end of auditd", lambda: not AUDITD.exists())
        assert never() == kept
        virtsec("verify", vs1.name, *only, "other-file-read")
        wait_for("another one", lambda: len(never()) > len(kept))
    finally:
        run("systemctl", "start", "auditd")
