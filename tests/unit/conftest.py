"""What every unit test may rely on, and what is said of those that try examples at random."""

import random
import re
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from _pytest.terminal import TerminalReporter
from hypothesis import HealthCheck, settings

from virtsec.kernel import private

#: In what Hypothesis says of a test: how many examples it ran.
_RUN = re.compile(r"(\d+) passing examples, (\d+) failing examples")
_EXAMPLES = pytest.StashKey[Counter[str]]()

# How long it takes to draw an example says how busy the machine is, and nothing of the test.
settings.register_profile("busy", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("busy")


@pytest.hookimpl(tryfirst=True)  # before Hypothesis's own, which reads the option
def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed of all random examples, unless `--hypothesis-seed` gives it."""
    config.stash[_EXAMPLES] = Counter()
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(random.randrange(10**9))


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """Count the examples of a test."""
    said = str(getattr(item, "hypothesis_statistics", ""))
    examples = sum(int(number) for found in _RUN.findall(said) for number in found)
    item.config.stash[_EXAMPLES][PurePosixPath(item.nodeid.split("::")[0]).parent.name] += examples


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Say how many examples were tried of each package, and how to try them again."""
    found = {package: n for package, n in sorted(config.stash[_EXAMPLES].items()) if n}
    if found:
        parts = ", ".join(f"{package} {number:,}" for package, number in found.items())
        terminalreporter.write_line(
            f"{sum(found.values()):,} random examples ({parts}); "
            f"the same again with --hypothesis-seed={config.option.hypothesis_seed}"
        )


@pytest.fixture(scope="session", autouse=True)
def _notes_are_ours(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have what is temporary be noted where anybody may."""
    private.NOTES = tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="session", autouse=True)
def _interrupts_arrive() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, also where tests run in a shell's background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
