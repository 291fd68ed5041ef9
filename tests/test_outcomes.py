"""The record of a run tells how each test ended, chosen or not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

TESTS = """
import pytest
@pytest.fixture
def broken():
    yield
    raise ValueError
def test_good(): pass
def test_bad(): assert False
def test_left_out(): pytest.skip("why not")
def test_ends_badly(broken): pass
@pytest.mark.assets
def test_on_assets(): pass
@pytest.mark.acceptance
def test_slowly_on_assets(assets): pass
"""


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_run_leaves_its_record(tmp_path: Path, workers: str) -> None:
    file, report = tmp_path / "test_sample.py", tmp_path / "report.json"
    file.write_text(TESTS)
    for folder in ("models", "videos"):
        (tmp_path / folder).mkdir()
    environment = {**os.environ, "FOOTFALL_TEST_REPORT": str(report), "FOOTFALL_ASSETS": str(tmp_path)}
    options = ["--confcutdir", str(ROOT), "-p", "no:cacheprovider", "-p", "tests.conftest", "-c", "pyproject.toml"]
    chosen = ["--numprocesses", workers, "-m", "not acceptance", str(file)]
    command = [sys.executable, "-m", "pytest", "-q", *options, *chosen]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "on real assets: 1 passed of 1 chosen, 2 committed" in ended.stdout
    told = json.loads(report.read_text())
    assert {test.partition("::")[2]: outcome for test, outcome in told["outcomes"].items()} == {
        "test_good": "passed",
        "test_bad": "failed",
        "test_left_out": "skipped",
        "test_ends_badly": "failed",
        "test_on_assets": "passed",
    }
    assert [test.partition("::")[2] for test in told["committed_on_assets"]] == [
        "test_on_assets",
        "test_slowly_on_assets",
    ]
