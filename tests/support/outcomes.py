"""What a run of tests did, test by test, written as JSON for `tools/verdict.py` to judge."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

__all__ = ["OutcomeRecorder"]

_COMMITTED = "committed_on_assets"


@dataclass(kw_only=True, slots=True, eq=False)
class OutcomeRecorder:
    """A pytest plugin: how each test ended, and which tests on real assets are committed, chosen in this run or not.

    Where pytest-xdist shares the tests among workers, each of them collects, and the one that they report to records.
    """

    report_path: Path | None
    outcomes: dict[str, str] = field(default_factory=dict)
    committed_on_assets: set[str] = field(default_factory=set)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note the tests on assets, before options such as `-m` take any of them away."""
        self.committed_on_assets |= {item.nodeid for item in items if item.get_closest_marker("assets")}

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take over what a worker has collected; one that crashed tells nothing."""
        self.committed_on_assets |= set(getattr(node, "workeroutput", {}).get(_COMMITTED, ()))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Hand over what this worker has collected."""
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput[_COMMITTED] = sorted(self.committed_on_assets)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note a file that was skipped or failed as a whole."""
        if not report.passed:
            self.outcomes[report.nodeid] = "skipped" if report.skipped else "failed"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test ended; a failure of its setup or teardown is a failure."""
        if (report.when == "call" or not report.passed) and self.outcomes.get(report.nodeid) != "failed":
            self.outcomes[report.nodeid] = str(report.outcome)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many of the tests on real assets ran, and leave the report."""
        chosen = self.committed_on_assets & self.outcomes.keys()
        passed = sum(self.outcomes[test] == "passed" for test in chosen)
        terminalreporter.write_line(
            f"on real assets: {passed} passed of {len(chosen)} chosen, {len(self.committed_on_assets)} committed"
        )
        if self.report_path is not None:
            report = {"outcomes": self.outcomes, "committed_on_assets": sorted(self.committed_on_assets)}
            self.report_path.write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
