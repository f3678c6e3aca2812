"""A page of what was proven: one file, no network, as good printed as on a screen."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from virtsec.attacks.proof import Result, Verdict
from virtsec.page import document, facts

if TYPE_CHECKING:
    from virtsec.attacks.verified import Verified

_STYLE = """
th:nth-child(1) { width: 37%; } th:nth-child(2) { width: 13%; } th:nth-child(3) { width: 24%; }
"""


def page(verified: Sequence[Verified], now: datetime.datetime | None = None) -> str:
    """The page as HTML; pure when `now` is given."""
    when = (now or datetime.datetime.now(datetime.UTC)).strftime("%Y-%m-%d %H:%M UTC")
    names = ", ".join(each.name for each in verified)
    body = [
        "<h1>Does the confinement hold?</h1>",
        f"<p>Attacks made by <code>virtsec verify</code> on {when}, from inside running "
        "containers, on decoys. Where a process outside saw an effect, that decides, whatever was "
        "said inside. “Refused by” names the defence that the kernel asks first; below it are all "
        "that were seen to refuse that attack on their own, in a laboratory where it succeeds "
        "without any.</p>",
        *(_container(each) for each in verified),
    ]
    return document(f"Confinement of {names}", body, _STYLE)


def _container(found: Verified) -> str:
    good = "held" if found.held else "broken"
    links = ", ".join(f"{each.source} to {each.target} {each}" for each in found.links)
    words = "All that was tried was refused." if found.held else "Not all of it holds."
    counts = ", ".join(f"{number} {kind}" for kind, number in found.counts.items() if number)
    about = (
        ("Container", f"{found.name}, {'privileged' if found.privileged else 'unprivileged'}"),
        ("Label", found.label),
        ("Attacked besides the host", found.against or "no other container"),
        ("Open by links", links or "nothing"),
        ("Security module", found.model),
        ("Kernel", found.kernel),
        ("Attacks", counts),
    )
    groups = groupby(found.results, key=lambda result: (result.group, result.promise))
    tables = "".join(_group(*heading, results) for heading, results in groups)
    return (
        f'<h2>{escape(found.name)}</h2><p class="sum {good}">{words}</p>{_failures(found)}'
        f"{facts(about)}{tables}"
    )


def _failures(found: Verified) -> str:
    """What did not hold, before all that did."""
    wrong = [each for each in found.results if each.verdict in {Verdict.BROKEN, Verdict.UNCLEAR}]
    items = "".join(
        f"<li class='{each.verdict.name.lower()}'>{escape(each.sentence)}: "
        f"{escape(each.evidence)}</li>"
        for each in wrong
    )
    return f"<ul>{items}</ul>" if items else ""


def _group(group: str, promise: str, results: Iterable[Result]) -> str:
    rows = "".join(_row(result) for result in results)
    return (
        f"<h3>{escape(promise)} <small>{escape(group)}</small></h3><table><thead><tr>"
        "<th>Root inside tries to …</th><th>Outcome</th><th>Refused by</th><th>Evidence</th>"
        f"</tr></thead><tbody>{rows}</tbody></table>"
    )


def _row(result: Result) -> str:
    by = result.refused_by.value if result.refused_by else ""
    if result.verdict is Verdict.HELD and not by:
        by = "it is not there"
    alone = ", ".join(each.value for each in result.alone)
    return (
        f"<tr><td>{escape(result.sentence)}<small>{escape(result.id)} · {escape(result.see)}"
        f"</small></td><td class='{escape(result.verdict.name.lower())}'>"
        f"{escape(result.verdict.value)}</td><td>{escape(by)}"
        f"{f'<small>alone: {escape(alone)}</small>' if alone else ''}</td>"
        f"<td>{escape(result.evidence)}</td></tr>"
    )
