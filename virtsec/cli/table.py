"""Tables, and what takes their place where a terminal is too narrow for one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from virtsec.cli.output import ENDLESS, Output, clean

if TYPE_CHECKING:
    from rich.table import Table

#: How much of its words' width a table may lack: more, and what is in it is cut to bits.
_FOLDED = 0.25


def empty(titles: Sequence[str]) -> Table:
    """A table without rows."""
    from rich.table import Table  # noqa: PLC0415  (slow to import)

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    return table


def show(output: Output, titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A line for each row; where that is too long, one for each of its cells."""
    cells = [[clean(str(cell)) for cell in row] for row in rows]
    head, *lines = _aligned(titles, *cells)
    longest = max(map(len, (head, *lines)))
    if longest <= output.width() and "".join((head, *lines)).isascii():
        # A thousand lines, as of `list`, would take rich longer than all that is in them.
        output.say("\n".join((output.bold(head), *lines)))
    else:
        _folded(output, titles, cells)


def _aligned(*rows: Sequence[str]) -> list[str]:
    """Rows as lines, their cells below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _folded(output: Output, titles: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.text import Text  # noqa: PLC0415  (slow to import)

    table = empty(titles)
    for row in cells:
        table.add_row(*map(Text, row))
    console = output.console()
    needed = console.measure(table, options=console.options.update(width=ENDLESS)).minimum
    if console.width >= needed * (1 - _FOLDED):
        output.render(table)
        return
    for first, *others in cells:
        output.say(first)
        for title, cell in zip(titles[1:], others, strict=True):
            output.say(f"  {title}: {cell}")
