"""Seeing and using a program's windows as assistive technology does, by AT-SPI."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import gi

gi.require_version("Atspi", "2.0")
gi.require_version("Gdk", "3.0")
from gi.repository import Atspi, Gdk, GLib  # noqa: E402  (after their versions)

Found = TypeVar("Found")

#: Seconds that anything may take to show itself: what is behind it may be emulated.
PATIENCE = 300.0
_INTERVAL = 0.5


class NotSeen(Exception):
    """What should have shown itself did not."""


def wait_for(what: str, look: Callable[[], Found | None]) -> Found:
    """Return what `look` finds, as soon as it finds something. Raises `NotSeen`."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise NotSeen(f"no {what}")
        time.sleep(_INTERVAL)


class Thing:
    """What is shown, and all in it."""

    def __init__(self, node: Any) -> None:
        self._node = node

    @property
    def name(self) -> str:
        """What it is called, or says."""
        return str(self._node.get_name() or "")

    @property
    def usable(self) -> bool:
        """Whether it would do anything now."""
        return bool(self._node.get_state_set().contains(Atspi.StateType.SENSITIVE))

    def find(self, role: str, name: str, *, shown: bool = True) -> Thing:
        """The first thing of that kind in it whose name begins so, once there is one."""
        return wait_for(f"{role} {name}", lambda: self.look(role, name, shown=shown))

    def look(self, role: str, name: str, *, shown: bool = True) -> Thing | None:
        """The same, if there is one now."""
        for node in _below(self._node):
            if node.get_role_name() != role or not (node.get_name() or "").startswith(name):
                continue
            if not shown or node.get_state_set().contains(Atspi.StateType.SHOWING):
                return Thing(node)
        return None

    def says(self, name: str) -> None:
        """Wait until a label in it says that."""
        self.find("label", name)

    def press(self) -> None:
        """Do what a click on it does, once that does something."""
        wait_for(f"way to use {self.name}", lambda: self.usable)
        self._node.get_action_iface().do_action(0)

    def click(self, times: int = 1) -> None:
        """Click on it with the mouse: what is in a list has no other way to be chosen."""
        place = self._node.get_component_iface().get_extents(Atspi.CoordType.SCREEN)
        middle = place.x + place.width // 2, place.y + place.height // 2
        Atspi.generate_mouse_event(*middle, "b1c" if times == 1 else "b1d")

    def put(self, number: float) -> None:
        """Have a number be another one."""
        self._node.get_value_iface().set_current_value(number)


def begin() -> None:
    """Have what programs tell of themselves by be there; one that starts without it never tells."""
    wait_for("AT-SPI", lambda: Atspi.get_desktop(0) is not None)
    Atspi.get_desktop(0).get_child_count()


def program(name: str) -> Thing:
    """A program that runs, once it shows something."""

    def look() -> Thing | None:
        desktop = Atspi.get_desktop(0)
        for index in range(desktop.get_child_count()):
            node = desktop.get_child_at_index(index)
            if node is not None and node.get_name() == name and node.get_child_count():
                return Thing(node)
        return None

    return wait_for(name, look)


def picture(path: str) -> None:
    """Write what is on the screen as PNG."""
    root = Gdk.get_default_root_window()
    Gdk.pixbuf_get_from_window(root, 0, 0, root.get_width(), root.get_height()).savev(
        path, "png", [], []
    )


def _below(node: Any) -> Iterator[Any]:
    """It and all in it; what goes away meanwhile is passed over."""
    try:
        yield node
        children = [node.get_child_at_index(index) for index in range(node.get_child_count())]
    except GLib.Error:
        return
    for child in children:
        if child is not None:
            yield from _below(child)
