"""A page of what was proven: one file, no network, as good printed as on a screen."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING

from virtsec.verify.proof import Result, Verdict

if TYPE_CHECKING:
    from virtsec.commands.verifying import Verified

_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1b1f24; --soft: #57606a;
  --line: #d0d7de; --held: #116329; --broken: #b3261e; --unclear: #7d4e00; }
@media (prefers-color-scheme: dark) { :root { --ground: #0d1117; --ink: #e6edf3; --soft: #9198a1;
  --line: #3d444d; --held: #56d364; --broken: #ff7b72; --unclear: #e3b341; } }
@media print { :root { --ground: #fff; --ink: #000; --soft: #444; --line: #999; --held: #0a4d1c;
  --broken: #a00; --unclear: #640; } body { font-size: 9pt; } tr { break-inside: avoid; } }
body { background: var(--ground); color: var(--ink); font: 15px/1.45 system-ui, sans-serif;
  max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 .3rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem;
  border-top: 1px solid var(--line); overflow-wrap: anywhere; }
th { color: var(--soft); font-weight: 600; }
th:nth-child(1) { width: 37%; } th:nth-child(2) { width: 13%; } th:nth-child(3) { width: 24%; }
small { color: var(--soft); display: block; }
.held { color: var(--held); } .broken { color: var(--broken); font-weight: 700; }
.unclear { color: var(--unclear); font-weight: 700; }
.sum { font-size: 1.15rem; font-weight: 600; }
"""


def page(verified: Sequence[Verified], now: datetime.datetime | None = None) -> str:
    """The page as HTML; pure when `now` is given."""
    when = (now or datetime.datetime.now(datetime.UTC)).strftime("%Y-%m-%d %H:%M UTC")
    names = ", ".join(each.name for each in verified)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>Confinement of {escape(names)}</title><style>{_STYLE}</style></head><body>",
        "<h1>Does the confinement hold?</h1>",
        f"<p>Attacks made by <code>virtsec verify</code> on {when}, from inside running "
        "containers, on decoys. Where a process outside saw an effect, that decides, whatever was "
        "said inside. “Refused by” names the defence that the kernel asks first; below it are all "
        "that were seen to refuse that attack on their own, in a laboratory where it succeeds "
        "without any.</p>",
        *(_container(each) for each in verified),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def _container(found: Verified) -> str:
    good = "held" if found.held else "broken"
    words = "All that was tried was refused." if found.held else "Not all of it holds."
    counts = ", ".join(f"{number} {kind}" for kind, number in found.counts.items() if number)
    facts = (
        ("Container", f"{found.name}, {'privileged' if found.privileged else 'unprivileged'}"),
        ("Label", found.label),
        ("Attacked besides the host", found.against or "no other container"),
        ("Security module", found.model),
        ("Kernel", found.kernel),
        ("Attacks", counts),
    )
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts)
    groups = groupby(found.results, key=lambda result: (result.group, result.promise))
    tables = "".join(_group(*heading, results) for heading, results in groups)
    return (
        f'<h2>{escape(found.name)}</h2><p class="sum {good}">{words}</p>{_failures(found)}'
        f"<dl>{rows}</dl>{tables}"
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
