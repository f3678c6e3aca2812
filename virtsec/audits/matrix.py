"""Who may reach whom, as a picture: an SVG that stands alone, light and dark, and in print."""

from __future__ import annotations

from collections.abc import Collection
from html import escape
from typing import TYPE_CHECKING

from virtsec.mac.reach import Channel

if TYPE_CHECKING:
    from virtsec.audits.audited import Audited
    from virtsec.audits.survey import Open
    from virtsec.domain.links import Way

_CELL, _GAP, _LETTER = 72, 8, 20
_STYLE = """
svg { --ground: #fff; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --open: #b3261e; }
@media (prefers-color-scheme: dark) { svg { --ground: #0d1117; --ink: #e6edf3; --soft: #9198a1;
  --line: #3d444d; --open: #ff7b72; } }
@media print { svg { --ground: #fff; --ink: #000; --soft: #444; --line: #999; --open: #a00; } }
text { font: 14px system-ui, sans-serif; fill: var(--ink); }
.ground { fill: var(--ground); } .soft { fill: var(--soft); }
.cell { fill: none; stroke: var(--line); } .own { fill: var(--line); stroke: var(--line); }
.closed { fill: none; stroke: var(--line); } .open { fill: var(--open); }
.link { fill: none; stroke: var(--ink); stroke-width: 2; }
.on { fill: var(--ground); font-weight: 700; } .off { fill: var(--soft); }
"""


def svg(audited: Audited) -> str:
    """The picture; rows act, columns are acted on. Pure."""
    names = [each.name for each in audited.containers]
    reached = {(each.source, each.target, each.channel): each for each in audited.open}
    longest = 9 * max(map(len, names), default=0)
    slanted = longest > _CELL  # else names of columns would run into each other
    left = 24 + longest
    top = 48 + (longest if slanted else 16)
    width = max(left + len(names) * _CELL + (longest if slanted else _GAP), 460)
    height = top + len(names) * _CELL + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        f"<title>Who may reach whom</title><style>{_STYLE}</style>",
        f'<rect class="ground" width="{width}" height="{height}"/>',
        f'<text x="{_GAP}" y="20">Row may reach column, by the policy of {audited.model}</text>',
    ]
    for index, name in enumerate(names):
        middle = _CELL * index + _CELL // 2
        x, y = left + middle, top - 12
        turned = f'transform="rotate(-45 {x} {y})"' if slanted else 'text-anchor="middle"'
        parts += [
            f'<text x="{x}" y="{y}" {turned}>{escape(name)}</text>',
            f'<text x="{left - 12}" y="{top + middle + 5}" text-anchor="end">{escape(name)}</text>',
        ]
    for row, source in enumerate(names):
        for column, target in enumerate(names):
            channels = {c: reached.get((source, target, c)) for c in Channel}
            links = audited.linked(source, target)
            at = (left + column * _CELL, top + row * _CELL)
            parts += _cell(at, source, target, channels, links)
    legend = ", ".join(f"{channel.value[0].upper()} {channel.value}" for channel in Channel)
    parts += [
        f'<text class="soft" x="{_GAP}" y="{height - 14}">'
        f"{legend}; filled: open, framed: a link</text>",
        "</svg>\n",
    ]
    return "\n".join(parts)


def _cell(
    at: tuple[int, int],
    source: str,
    target: str,
    channels: dict[Channel, Open | None],
    links: Collection[Way],
) -> list[str]:
    x, y = at
    own = source == target
    kind = "own" if own else "cell"
    parts = [f'<rect class="{kind}" x="{x}" y="{y}" width="{_CELL}" height="{_CELL}"/>']
    if own:
        return parts
    for index, (channel, found) in enumerate(channels.items()):
        left = x + 3 + index * (_LETTER + 3)
        if found:
            state, text, by = "open", "on", f": {', '.join(found.by)}"
        elif links and channel is Channel.NETWORK:
            state, text, by = "link", "off", f": {', '.join(map(str, links))} by a link"
        else:
            state, text, by = "closed", "off", " is closed"
        parts.append(
            f"<g><title>{escape(f'{source} to {target}, {channel.value}{by}')}</title>"
            f'<rect class="{state}" x="{left}" y="{y + 26}" width="{_LETTER}" height="{_LETTER}"/>'
            f'<text class="{text}" x="{left + _LETTER // 2}" y="{y + 41}" text-anchor="middle">'
            f"{channel.value[0].upper()}</text></g>"
        )
    return parts
