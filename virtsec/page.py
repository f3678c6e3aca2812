"""What the pages for auditors share: one file, no network, as good printed as on a screen."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

STYLE = """
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
small { color: var(--soft); display: block; }
.held { color: var(--held); } .broken { color: var(--broken); font-weight: 700; }
.unclear { color: var(--unclear); font-weight: 700; }
.sum { font-size: 1.15rem; font-weight: 600; }
"""


def document(title: str, body: Iterable[str], style: str = "") -> str:
    """A page whose `body` is HTML; `style` adds to what all pages share."""
    return "\n".join([
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head><body>",
        *body,
        "</body></html>\n",
    ])  # fmt: skip


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names and what they are, one beneath the other."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f"<dl>{rows}</dl>"
