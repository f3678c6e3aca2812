"""The documents `--json` prints: one object each, whatever happens. Keys are never renamed.

================================ ================================================================
command                          document
================================ ================================================================
(nothing)                        {"installed": true|false, "next": COMMAND}
--version                        {"version": VERSION}
setup                            `virtsec.SetupResult`
protect                          {"check": true|false, "paths": [PATH, …]}
define                           `virtsec.commands.results.Defined`
clone, import                    `virtsec.commands.results.Defined`
adopt                            `virtsec.commands.adopting.Adopted`
release                          `virtsec.commands.adopting.Released`
rename                           `virtsec.commands.copies.Renamed`
export                           `virtsec.commands.copies.Exported`
cp                               {"source": SOURCE, "destination": DESTINATION}
define --dry-run                 `virtsec.commands.results.Planned`
start                            {"results": [`Started`, …], "errors": […]}
shutdown, destroy, reboot        {"results": [`Acted`, …], "errors": […]}
undefine                         {"results": [`Undefined`, …], "errors": […]}
label                            {"results": [`Labelled`, …], "errors": […]}
list                             {"enforcement": "enforcing"|"permissive", "containers":
                                 [`Listed`, …]}
info                             `virtsec.commands.results.Info`, and "enforcement"
link, unlink                     `virtsec.commands.linking.Linked`
links                            {"links": [`Linked`, …]}
set                              `virtsec.commands.limiting.Limited`
set --privileged|--unprivileged  `virtsec.commands.kinds.Shifted`
set --egress|--expose|--unexpose `virtsec.commands.reaching.Reached`
verify                           {"results": [`virtsec.attacks.verified.Verified`, …],
                                 "errors": […]}
verify --list                    {"probes": [{"id", "group", "sentence", "promise", "see",
                                 "position"}, …]}
audit                            `virtsec.audits.audited.Audited`
base create, base refresh        `virtsec.commands.bases.Made`
base list                        {"bases": [`virtsec.commands.bases.Described`, …]}
base info                        `virtsec.commands.bases.Described`
base remove                      `virtsec.commands.bases.Removed`
fleet plan                       `virtsec.commands.fleet.FleetPlan`
fleet apply, fleet destroy       {"results": [`virtsec.commands.rollout.Done`, …], "errors": […]}
fleet diff                       {"diff": TEXT}
fleet export                     what a fleet file says, as `virtsec fleet schema` has it
fleet schema                     the schema
policy show                      `virtsec.commands.policies.Shown`
policy diff                      `virtsec.commands.policies.Compared`
policy suggest                   `virtsec.commands.suggesting.Suggested`
doctor                           `virtsec.commands.doctoring.Diagnosis`
anything that failed as a whole  {"error": {"sentence", "remedy", "status", "notes"}}
================================ ================================================================

A name stands for an object whose keys are the fields of the dataclass so called. Enumerations are
their words, paths and addresses strings, and what does not apply is null. A step is
`{"step": KIND, "does": SENTENCE}`. An entry of "errors" is `{"name": NAME, "error": …}`, the latter
as above; the exit status is that of the worst. "notes" are sentences on what could not be undone.
What was interrupted has failed as a whole. Warnings and progress go to standard error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from virtsec.commands.results import as_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePosixPath

    from virtsec import Enforcement
    from virtsec.commands.results import Info, Listed


def protect_document(paths: Sequence[PurePosixPath], *, check: bool) -> dict[str, Any]:
    """What `protect` prints: what was labelled, with `check` what should be."""
    return {"check": check, "paths": [str(path) for path in paths]}


def list_document(enforcement: Enforcement, listed: list[Listed]) -> dict[str, Any]:
    """What `list` prints."""
    return {"enforcement": enforcement.value, "containers": as_json(listed)}


def info_document(enforcement: Enforcement, info: Info) -> dict[str, Any]:
    """What `info` prints."""
    return {**as_json(info), "enforcement": enforcement.value}
