"""pytest's plugin in the guest: runs the tests the host asks for and reports each as it ends.

One file beside the agent. What it reports, a JSON object a line:

``collected``  the ids of the tests that are going to run, in order
``report``     one phase of one test, as pytest serialises it
``finish``     the id of a test that is over
"""

import json
import os
from pathlib import Path

import pytest


class Reporter:
    """Reports to the descriptor $LAB_REPORT_FD."""

    def __init__(self, config: pytest.Config, wanted: Path) -> None:
        self._config = config
        self._wanted: list[str] = json.loads(wanted.read_text())
        # Kept from the programs that tests start, which would hold it open.
        self._descriptor = int(os.environ.pop("LAB_REPORT_FD"))
        os.set_inheritable(self._descriptor, False)

    def _tell(self, **values: object) -> None:
        line = json.dumps(values) + "\n"
        data = line.encode()
        while data:
            data = data[os.write(self._descriptor, data) :]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Keep what the host wants, in the host's order."""
        found = {item.nodeid: item for item in items}
        items[:] = [found[nodeid] for nodeid in self._wanted if nodeid in found]
        self._tell(collected=[item.nodeid for item in items])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Pass on a report."""
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._tell(report=data)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Say that nothing more follows about a test."""
        self._tell(finish=nodeid)
