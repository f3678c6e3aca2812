#!/usr/bin/env python3
"""Draws architecture.svg and start.svg, beside this file: run it after a change, and look at them.

Text stays text, in whatever sans serif the reader has; colours follow the reader's light or dark.
Lengths are in user units of the picture.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).parent
LINE, PAD, TITLE = 17, 12, 19  # heights: of a line, of the margin inside a box, of a box's title

#: Class of what is drawn, and its colours: light, dark.
COLOURS = {
    "page": ("fill:#ffffff", "fill:#0d1117"),
    "lane": ("fill:#f3f5f8;stroke:#d5dbe3", "fill:#161b22;stroke:#30363d"),
    "box": ("fill:#ffffff;stroke:#6b7a8f", "fill:#21262d;stroke:#8b949e"),
    "ours": ("fill:#e3f0fb;stroke:#2f6fae", "fill:#12304d;stroke:#58a6ff"),
    "guard": ("fill:#e4f4e8;stroke:#2d7d46", "fill:#12351f;stroke:#3fb950"),
    "no": ("fill:#fbe7e6;stroke:#b3423a", "fill:#43191a;stroke:#f85149"),
    "arrow": ("fill:none;stroke:#445366", "fill:none;stroke:#b1bac4"),
    "tip": ("fill:#445366", "fill:#b1bac4"),
    "title": ("fill:#111820", "fill:#f0f6fc"),
    "text": ("fill:#2b3644", "fill:#d5dde5"),
    "faint": ("fill:#5a6777", "fill:#9aa5b1"),
}
SHAPES = (
    "text{font-family:system-ui,'Segoe UI',Helvetica,Arial,sans-serif;font-size:13px}"
    ".title{font-size:14.5px;font-weight:600}.faint{font-size:12.5px}"
    ".lane,.box,.ours,.guard,.no{stroke-width:1.2}.arrow{stroke-width:1.5}"
)


@dataclass(frozen=True)
class Box:
    """A box with a title and lines of text, which `|` parts."""

    x: int
    y: int
    width: int
    title: str
    words: str
    kind: str = "box"

    @property
    def lines(self) -> list[str]:
        """Its text, line by line."""
        return self.words.split("|")

    @property
    def height(self) -> int:
        """What its text takes."""
        return 2 * PAD + TITLE + LINE * len(self.lines) - 6

    @property
    def middle(self) -> int:
        """The x of its middle."""
        return self.x + self.width // 2

    def drawn(self) -> str:
        """It, as SVG."""
        parts = [rectangle(self.kind, self.x, self.y, self.width, self.height)]
        y = self.y + PAD + 11
        parts.append(text("title", self.x + PAD, y, self.title))
        for number, line in enumerate(self.lines):
            parts.append(text("text", self.x + PAD, y + TITLE + LINE * number, line))
        return "\n".join(parts)


def rectangle(kind: str, x: int, y: int, width: int, height: int) -> str:
    """A rectangle with round corners."""
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6"/>'


def text(kind: str, x: int, y: int, words: str, anchor: str = "start") -> str:
    """A line of text."""
    where = f'x="{x}" y="{y}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {where}>{escape(words)}</text>'


def arrow(*points: tuple[int, int]) -> str:
    """An arrow along straight lines."""
    way = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline class="arrow" points="{way}" marker-end="url(#tip)"/>'


def lane(y: int, width: int, height: int, title: str) -> str:
    """What holds boxes that belong together."""
    return rectangle("lane", 16, y, width, height) + text("faint", 30, y + 21, title)


def picture(width: int, height: int, title: str, description: str, parts: Sequence[str]) -> str:
    """A whole SVG file."""
    light = "".join(f".{name}{{{day}}}" for name, (day, _) in COLOURS.items())
    dark = "".join(f".{name}{{{night}}}" for name, (_, night) in COLOURS.items())
    body = "\n".join(parts)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>{escape(title)}</title>
<desc>{escape(description)}</desc>
<style>{SHAPES}{light}@media (prefers-color-scheme:dark){{{dark}}}</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"
 orient="auto-start-reverse" markerUnits="userSpaceOnUse"><path class="tip" d="M0,0 8,4 0,8z"/>
</marker></defs>
<rect class="page" width="{width}" height="{height}" rx="8"/>
{body}
</svg>
"""


def architecture() -> str:
    """What virtsec does at a command, what there is then, and what happens at a start."""
    wide = 968
    spec = Box(
        40, 52, 262, "spec", ("what is wanted: options, a fleet|file, or a domain's metadata")
    )
    plan = Box(
        352, 52, 262, "plan", ("small steps, each with its undo;|pure: --dry-run shows them")
    )
    apply = Box(
        664, 52, 296, "apply", ("does them in order; if one fails,|takes back those that are done")
    )
    top = 206
    policy = Box(
        40,
        top,
        218,
        "policy",
        ("SELinux: vs1_t, vs1_file_t,|vs1_exec_t, two categories|Smack: the rules of vs1"),
        "guard",
    )
    tree = Box(
        274,
        top,
        218,
        "tree",
        ("its files: owners of its own,|each inode labelled; beside|it the controller's orders"),
        "ours",
    )
    domain = Box(
        508,
        top,
        218,
        "libvirt domain",
        ("XML, and what virtsec meant|in its <metadata>: the only|database there is"),
        "ours",
    )
    packets = Box(
        742,
        top,
        218,
        "packet filter",
        ("labels what containers send;|links and egress, by the|port of the bridge"),
        "guard",
    )
    made = (policy, tree, domain, packets)
    low = 374
    daemon = Box(40, low, 172, "libvirtd", ("asked by virtsec, virsh,|virt-manager, or at boot"))
    hook = Box(236, low, 200, "hook", ("compares XML and metadata,|refuses, labels init"), "ours")
    controller = Box(
        460,
        low,
        238,
        "controller",
        ("takes Smack's label, drops what|XML cannot name, its own slice"),
        "ours",
    )
    init = Box(
        730,
        low,
        230,
        "libvirt_lxc, then init",
        ("namespaces, ids; its label|from the first instruction"),
    )
    bus = 160
    parts = [
        lane(16, wide, 118, "virtsec, when you type a command"),
        lane(172, wide, 144, "what there is of a container"),
        lane(340, wide, 118, "at each start"),
        *(box.drawn() for box in (spec, plan, apply, *made, daemon, hook, controller, init)),
        arrow((302, 84), (350, 84)),
        arrow((614, 84), (662, 84)),
        f'<polyline class="arrow" points="812,{52 + apply.height} 812,{bus}"/>',
        *(arrow((812, bus), (box.x + 190, bus), (box.x + 190, top - 2)) for box in made),
        arrow((617, top + domain.height), (617, 328), (180, 328), (180, low - 2)),
        arrow((212, 406), (234, 406)),
        arrow((436, 406), (458, 406)),
        arrow((698, 406), (728, 406)),
        rectangle("guard", 16, 482, wide, 62),
        text("title", 30, 506, "kernel"),
        text(
            "text",
            30,
            528,
            "SELinux or Smack asks at every access; user, mount, process, network and "
            "other namespaces; capabilities; seccomp; cgroups; nftables",
        ),
        arrow((845, low + init.height), (845, 480)),
    ]
    return picture(
        1000,
        560,
        "What virtsec is made of",
        "A spec becomes a plan, whose steps are applied: they make policy, tree, domain and rules "
        "of the packet filter. At a start libvirtd runs the hook and then the controller, which "
        "becomes libvirt_lxc, which becomes init. The kernel confines it.",
        parts,
    )


@dataclass(frozen=True)
class Move:
    """One step of a start: who, what, and the sentence's kind when it may end there."""

    column: int
    title: str
    words: str
    refuses: str = ""


MOVES = (
    Move(0, "1  start vs1", ("virtsec start, virsh start,|virt-manager, or autostart")),
    Move(1, "2  reads the domain", ("and runs the hook with it,|before it labels anything")),
    Move(
        2,
        "3  compares",
        ("root, init, ids, label,|capabilities, mounts, network|with the metadata"),
        "an edit weakened it",
    ),
    Move(
        2,
        "4  looks at the disk",
        (
            "root, controller and orders are|"
            "root's, no link is on the way;|"
            "the rules of Smack are loaded"
        ),
        "something was exchanged",
    ),
    Move(
        2,
        "5  labels init",
        (
            "the file that init is now, found|"
            "inside the root: it must carry|"
            "a label of this container"
        ),
        "it is not the container's own",
    ),
    Move(
        3,
        "6  confines itself",
        (
            "closes descriptors, enters vs1's|"
            "slice, mounts the base, Smack:|"
            "is vs1 from here on; seccomp,|"
            "drops capabilities"
        ),
        "whatever fails",
    ),
    Move(
        4,
        "7  libvirt_lxc",
        ("makes namespaces, maps ids,|mounts; SELinux: asks for vs1_t|at the next exec"),
    ),
    Move(
        4,
        "8  init",
        ("runs as vs1_t, or vs1, without|power over the host; the hook|limits inotify and is done"),
    ),
)
COLUMNS = ("who starts it", "libvirtd", "hook, as root", "controller", "container")
OURS = (2, 3)


def start() -> str:
    """A start, step by step."""
    wide, gap = 222, 8
    left = [16 + column * (wide + gap) for column in range(len(COLUMNS))]
    y, boxes = 56, []
    for move in MOVES:
        kind = "ours" if move.column in OURS else "guard" if move.column == 4 else "box"
        box = Box(left[move.column] + 6, y, wide - 12, move.title, move.words, kind)
        boxes.append(box)
        y += box.height + 20
    height = y + 4
    parts = [
        rectangle("lane", x, 16, wide, height - 32) + text("faint", x + 14, 38, name)
        for x, name in zip(left, COLUMNS, strict=True)
    ]
    parts += [box.drawn() for box in boxes]
    for before, after in pairwise(boxes):
        if before.x == after.x:
            parts.append(
                arrow((before.middle, before.y + before.height), (before.middle, after.y - 2))
            )
        else:
            turn = before.y + before.height - 16
            parts.append(
                arrow(
                    (before.x + before.width, turn),
                    (after.middle, turn),
                    (after.middle, after.y - 2),
                )
            )
    for box, move in zip(boxes, MOVES, strict=True):
        if move.refuses:
            y = box.y + box.height // 2
            x = left[0] + 6
            parts.append(rectangle("no", x, y - 21, wide - 12, 42))
            parts.append(text("title", x + PAD, y - 4, "not started"))
            parts.append(text("text", x + PAD, y + 13, move.refuses))
            parts.append(arrow((box.x, y), (x + wide - 10, y)))
    return picture(
        2 * 16 + len(COLUMNS) * wide + (len(COLUMNS) - 1) * gap,
        height,
        "A container's start, step by step",
        " ".join(f"{move.title}: {move.words.replace('|', ' ')}." for move in MOVES),
        parts,
    )


PICTURES = {"architecture.svg": architecture, "start.svg": start}


def main() -> int:
    """Write them; returns the exit status."""
    for name, draw in PICTURES.items():
        (HERE / name).write_text(draw(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
