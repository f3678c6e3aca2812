"""The laboratory's tests: collected on the host, run in a guest for each security module.

``pytest tests/lab --lsm selinux`` on the host boots a guest, runs the tests there and reports them
here. This file is used on both sides; which one it is on, it knows by LAB_REPORT_FD.

Every test runs once for each module, under the name ``test_x[selinux]`` or ``test_x[smack]``, and
may ask for the fixture ``lsm``. Marked ``selinux`` or ``smack`` it runs under that one only, marked
``apparmor`` or ``none`` (no module) under those only, ``bare`` each time: setup would refuse.
Marked ``bare`` it runs in a guest of its own that has nothing of virtsec's but its packages, in
``/root/lab``. Marked ``once`` it runs under Smack alone where tests run under several, to save
time: all run under SELinux with ``--lsm selinux``. Marked ``after_reset`` it runs
when the guest has lost power and was started again, marked ``before_reset`` just before that, and
marked ``last`` after all others; after each one that is marked ``power_lost`` it loses power too.
Marked ``stress`` it runs with ``--stress`` only.

The host collects tests too, but never runs what they are made of. Where it lacks a module that
only the guest has (libvirt, setools, ...), the import gives a stand-in.
"""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from drawn import Chance
from machine.inside.reporter import Reporter
from machine.missing import stand_in
from machine.outside import Outside, is_long
from machine.qemu import MEMORY, Lsm

INSIDE = "LAB_REPORT_FD" in os.environ
if not INSIDE or os.environ["LAB_BARE"]:
    stand_in()

from demo.containers import (  # noqa: E402  (imports virtsec)
    ATTACK_MOUNTS,
    Container,
    Small,
    load_policies,
    prepare,
)

#: Containers that fixtures of these names define, and whether they are privileged.
DEFINED = {name: name == "vs3" for name in ("vs1", "vs2", "vs3", "small", "patient", "twin")}
#: Those that the fixture of this name leads to.
LED_TO = {"twin": ("again",)}
#: The property of a report that says what was counted.
COUNTED = "counted"

MARKERS = (
    "selinux: runs under SELinux only",
    "smack: runs under Smack only",
    "apparmor: runs under AppArmor, which virtsec does not confine by",
    "none: runs where there is no security module",
    "bare: runs in a guest of its own that has nothing of virtsec's but its packages",
    "empty: runs in a guest of its own that has no container but those that such tests make",
    "once: to save time, it runs under Smack alone where tests run under several",
    "before_reset: runs after those without a mark, just before the guest loses power",
    "after_reset: runs after those, when the guest was started again",
    "power_lost: when it is over the guest loses power; the others run when it was started again",
    "last: runs after all others: nothing may follow what it does",
    "stress: takes long, and runs only with --stress, and then no other does",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--lsm``."""
    parser.addoption(
        "--lsm",
        choices=[*Lsm, "all"],
        default="all",
        help="the security modules to run tests/lab under",
    )
    parser.addoption("--stress", action="store_true", help="what takes long, and nothing else")
    parser.addoption("--seed", type=int, default=0, help="what is drawn by chance, again")
    parser.addoption(
        "--points", type=int, default=20, help="of each command that is cut off, how many are drawn"
    )
    parser.addoption("--memory", default=MEMORY, help="of each guest, such as 16G")
    parser.addoption("--no-setup", action="store_true", help="virtsec is installed, not set up")
    parser.addoption("--wheel", type=Path, help="install this one, not the checkout's")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and the plugin of the side we are on."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
    if INSIDE:
        config.pluginmanager.register(Reporter(config, Path(os.environ["LAB_ITEMS"])))
    else:
        config.pluginmanager.register(Outside(config))


def chosen(config: pytest.Config) -> list[Lsm]:
    """Return the security modules to run tests under."""
    name = config.getoption("--lsm")
    return list(Lsm) if name == "all" else [Lsm(name)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each for each security module it is for."""
    only = [lsm for lsm in Lsm if metafunc.definition.get_closest_marker(lsm)]
    allowed = only or [lsm for lsm in Lsm if lsm.confines]
    wanted = [lsm for lsm in chosen(metafunc.config) if lsm in allowed]
    # A test with no parameters left would be reported as skipped, where it is just not for us:
    # pytest_collection_modifyitems takes it out.
    metafunc.parametrize("lsm", wanted or allowed, ids=str, indirect=True, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take out tests that are for another security module, or take long, than those wanted."""
    wanted = chosen(config)
    twice = {Lsm.SELINUX, Lsm.SMACK} <= set(wanted)
    out = []
    for item in items:
        callspec = getattr(item, "callspec", None)
        lsm = callspec.params.get("lsm") if callspec else None
        if lsm is None:
            continue
        # Under Smack a policy is loaded in no time: it is the one that is quicker.
        again = twice and lsm is Lsm.SELINUX and item.get_closest_marker("once") is not None
        other = not INSIDE and is_long(item) is not config.getoption("--stress")
        if lsm not in wanted or again or other:
            out.append(item)
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what tests counted: how often something was tried, of how many, and by which seed."""
    reports = [each for kind in terminalreporter.stats.values() for each in kind]
    lines = [
        f"{report.nodeid.split('::')[-1]}: {value}"
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == COUNTED and report.when == "call"
    ]
    if lines:
        terminalreporter.section(f"counted (--seed {terminalreporter.config.getoption('--seed')})")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> Chance:
    """Return what a test draws by, the same for the same seed."""
    return Chance(Random(f"{request.config.getoption('--seed')} {request.node.nodeid}"))


@pytest.fixture
def counted(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return what a test says by how often it tried, for the end of the run."""
    return partial(record_property, COUNTED)


@pytest.fixture(scope="session", autouse=True)
def lsm(request: pytest.FixtureRequest) -> Lsm:
    """Return the security module that the test runs under."""
    lsm = Lsm(request.param)
    if lsm is Lsm.SELINUX:
        items = [item for item in request.session.items if isinstance(item, pytest.Function)]
        asked = {name for item in items for name in item.fixturenames}
        wanted = {name: kind for name, kind in DEFINED.items() if name in asked}
        more = {each: False for name in wanted for each in LED_TO.get(name, ())}
        if wanted:
            load_policies(wanted | more)
    return lsm


@pytest.fixture(scope="session")
def vs1() -> Container:
    """Return a running container that has the host's tree at /mnt: where attacks come from."""
    return _serving("vs1", *ATTACK_MOUNTS)


@pytest.fixture(scope="session")
def vs2() -> Container:
    """Return its running neighbour, with a static address; it starts with the host."""
    address = ("--address", "192.168.122.12/24", "--gateway", "192.168.122.1")
    return _serving("vs2", "--autostart", *address)


@pytest.fixture(scope="session")
def vs3() -> Container:
    """Return a running privileged container, where only the security module stands between."""
    return _serving("vs3", "--privileged", *ATTACK_MOUNTS)


@pytest.fixture(scope="session")
def small() -> Small:
    """A running container of busybox with the host's tree at /mnt, to start again and again."""
    prepare()
    container = Small("small")
    container.define(*ATTACK_MOUNTS)
    container.start()
    return container


def _serving(name: str, *options: str) -> Container:
    prepare()
    container = Container(name)
    container.define(*options)
    container.start()
    return container
