"""Help, as narrow as the terminal is, in which no summary is cut off."""

import inspect
import shutil
from collections.abc import Callable
from functools import partial
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from virtsec.cli.interrupt import interruptible

#: Columns below which click would not go, where the terminal would break words.
_LEAST = 52
#: Columns that options may take at most before what they do; and how many are left for that.
_OPTIONS, _WORDS = 30, 8


class _Context(typer.Context):
    """click's, with our idea of how wide help is."""

    def make_formatter(self) -> Any:
        formatter = super().make_formatter()
        columns = shutil.get_terminal_size().columns
        if columns < _LEAST:
            formatter.width = max(columns, 20) - 2
        widest = min(_OPTIONS, formatter.width // 2 - _WORDS)
        formatter.write_dl = partial(formatter.write_dl, col_max=widest)  # type: ignore[method-assign]
        return formatter


class _Command(TyperCommand):
    context_class = _Context

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """typer's; but the options of a command that is to be run inside are its own."""
        if any(each.name == "command" for each in self.params):
            valued = {
                name
                for each in self.params
                if isinstance(each, TyperOption) and not each.is_flag
                for name in each.opts
            }
            args = apart(args, valued)
        rest: list[str] = super().parse_args(ctx, args)
        return rest


class Group(TyperGroup):
    """What has commands of its own."""

    context_class = _Context


def apart(words: list[str], valued: set[str]) -> list[str]:
    """Put `--` before the second word that is no option: there a command begins (`exec vs1 ls -l`).

    `valued` are the options whose value is the next word.
    """
    index = found = 0
    while index < len(words) and words[index] != "--":
        word = words[index]
        if word.startswith("-"):
            index += word in valued
        else:
            found += 1
            if found == 2:
                return [*words[:index], "--", *words[index:]]
        index += 1
    return words


def group(text: str) -> typer.Typer:
    """One that only has commands of its own; `text` is its help."""
    return typer.Typer(
        cls=Group,
        rich_markup_mode=None,
        no_args_is_help=True,
        help=text,
        short_help=_summary(text),
    )


def add(app: typer.Typer, command: Callable[..., Any]) -> None:
    """Make a function a command called like it; Python's own words have a `_` at their end."""
    app.command(
        name=command.__name__.rstrip("_"), cls=_Command, short_help=_summary(command.__doc__ or "")
    )(interruptible(command))


def _summary(text: str) -> str:
    """The first paragraph, which click would cut off."""
    return " ".join(inspect.cleandoc(text).partition("\n\n")[0].split())
