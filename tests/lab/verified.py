"""What `virtsec verify --json` says, for tests."""

import json
from typing import Any

from demo.shell import virtsec

Document = dict[str, Any]


def verified(*words: str) -> tuple[int, Document]:
    """Exit status, and the one result of `virtsec verify --json`."""
    done = virtsec("verify", *words, "--json", check=False)
    document = json.loads(done.stdout)
    assert document["errors"] == []
    return done.returncode, document["results"][0]


def broken(result: Document) -> dict[str, str]:
    """The attacks that did not simply hold, with the evidence."""
    fine = ("held", "not applicable", "not proven")
    return {r["id"]: r["evidence"] for r in result["results"] if r["verdict"] not in fine}
