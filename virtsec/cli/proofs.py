"""What `verify` and `doctor` show: to people, to programs, and `verify` to auditors."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from virtsec import Verdict
from virtsec.cli import table as tables
from virtsec.cli.output import Output, clean, error_document
from virtsec.commands import verifying
from virtsec.commands.results import as_json
from virtsec.errors import Failed, VirtsecError

if TYPE_CHECKING:
    from rich.table import Table

    from virtsec import Probe, Verified
    from virtsec.commands.doctoring import Diagnosis
    from virtsec.step import Host

_STYLE = {
    Verdict.HELD: "green",
    Verdict.BROKEN: "bold red",
    Verdict.UNCLEAR: "bold yellow",
    Verdict.NOT_PROVEN: "dim",
    Verdict.NOT_APPLICABLE: "dim",
}


def running_containers(host: Host) -> list[str]:
    """The names of virtsec's containers that run."""
    from virtsec.commands.listing import list_domains  # noqa: PLC0415  (slow import)

    return [each.name for each in list_domains(host, all_=False) if each.ours]


def verify_each(
    output: Output,
    host: Host,
    names: Sequence[str],
    against: str | None,
    only: Collection[str],
    *,
    report: Path | None = None,
) -> int:
    """Attack from each of `names`, going on after a failure, and show what came of it.

    With several names and without `against` each attacks the one before it, and so does the one
    that the others are to attack. What was verified is written to `report` as well. The status is
    1 when something did not hold. Raises `Failed` when the page cannot be written, with no document
    shown.
    """
    status = 0
    verified: list[Verified] = []
    errors: list[dict[str, Any]] = []
    for index, name in enumerate(names):
        other = names[index - 1] if len(names) > 1 and against in {None, name} else against
        try:
            found = verifying.verify(name, host, other, only)
        except VirtsecError as error:
            errors.append({"name": name, "error": error_document(error)})
            status = max(status, error.exit_status)
            if not output.json:
                output.error(error)
            continue
        verified.append(found)
        status = max(status, 0 if found.held else 1)
        if not output.json:
            show(output, found)
    if report is not None and verified:
        _write_report(report, verified)
    document = {"results": [as_json(each) for each in verified], "errors": errors}
    output.show(document, lambda: None)
    return status


def show(output: Output, found: Verified) -> None:
    """What became of the attacks; then the sum."""
    output.render(table(found))
    output.say()
    output.say(summary(found))


def table(found: Verified) -> Table:
    """By promise, each attack and what became of it."""
    from rich.text import Text  # noqa: PLC0415  (slow import)

    rows = tables.empty(("Root inside tries to …", "Outcome", "Refused by"))
    for group, results in groupby(found.results, lambda each: each.group):
        those = list(results)
        rows.add_row(Text(f"{group}: {those[0].promise}", style="bold"))
        for _, alike in groupby(those, _row):
            first, *others = alike
            rows.add_row(
                Text(f"  {len(others) + 1} attacks" if others else f"  {first.sentence}"),
                Text(first.verdict.value, style=_STYLE[first.verdict]),
                Text(clean(_why(first))),
            )
    return rows


def _row(result: Any) -> object:
    """What stands in one row: an attack, or all that could not be tried for one reason."""
    return result.evidence if result.verdict is Verdict.NOT_APPLICABLE else id(result)


def _why(result: Any) -> str:
    if result.verdict is Verdict.HELD:
        by = result.refused_by.value if result.refused_by else "it is not there"
        return f"{by} ({result.evidence.partition(':')[0]})"
    return str(result.evidence)


def summary(found: Verified) -> str:
    """One sentence on all of it."""
    counts = {kind: number for kind, number in found.counts.items() if number}
    parts = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    kind = "privileged" if found.privileged else "unprivileged"
    against = f" against {found.against}" if found.against else ""
    links = "".join(
        f" By a link {each.source} may ask {each.target} at {each}." for each in found.links
    )
    return f"{found.name} ({kind}, {clean(found.label)}){against}: {parts}.{links}"


def listed(output: Output, probes: Sequence[Probe]) -> None:
    """The attacks, a line each."""
    rows = ((probe.id, probe.sentence, probe.see) for probe in probes)
    tables.show(output, ("Id", "Root inside tries to …", "See"), rows)


def probes_document(probes: Sequence[Probe]) -> dict[str, Any]:
    """The attacks as data."""
    names = ("id", "group", "sentence", "promise", "see", "position")
    return {"probes": [{name: str(getattr(probe, name)) for name in names} for probe in probes]}


def _write_report(path: Path, verified: Sequence[Verified]) -> None:
    """The page. Raises `Failed` when it cannot be written."""
    try:
        path.write_text(verifying.verify_page(verified), "utf-8")
    except OSError as error:
        raise Failed(
            f"The report could not be written to {path}: {error.strerror}.", "Name another file."
        ) from error


def diagnosed(output: Output, found: Diagnosis) -> None:
    """What was looked at, a line each; beneath a fault its remedy."""
    subject = ""
    for each in found.checks:
        if each.subject != subject:
            subject = each.subject
            output.say(f"{clean(subject)}:")
        mark = ("mended" if each.fixed else "good") if each.good else "WRONG"
        output.say(f"  {mark:<6} {clean(each.sentence)}")
        if each.remedy:
            known = "doctor --fix" in each.remedy
            by_us = " `virtsec doctor --fix` does it." if each.fixable and not known else ""
            output.say(f"         {clean(each.remedy)}{by_us}")
    output.say()
    wrong = sum(not each.good for each in found.checks)
    output.say(
        f"{wrong} of {len(found.checks)} {'is' if wrong == 1 else 'are'} wrong."
        if wrong
        else "All is well."
    )
