"""A run that proves too little is refused, whatever pytest said of it."""

import json
from pathlib import Path

import pytest

from tools.verdict import Run, complaints, main, proofs_at, summary

PROOF = "tests/end_to_end/test_first_light.py"


def run(name: str = "test", *, on_assets: tuple[str, ...] = (), **outcomes: str) -> Run:
    """A run with these tests; `proof_x` stands for a test of the proof."""
    named = {
        f"{PROOF}::{test}" if test.startswith("proof") else f"tests/test_x.py::{test}": outcome
        for test, outcome in outcomes.items()
    }
    committed = frozenset(f"tests/test_x.py::{test}" for test in on_assets)
    return Run(name=name, outcomes=named, committed_on_assets=committed)


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        pytest.param([run(a="passed", proof_a="passed")], [], id="all is well"),
        pytest.param([run(a="skipped", proof_a="passed")], [], id="an ordinary test is skipped"),
        pytest.param([run(a="failed", proof_a="passed")], ["failed: tests/test_x.py::a"], id="a test fails"),
        pytest.param(
            [run("test", a="skipped"), run("acceptance", proof_a="passed")], ["test: no test ran"], id="all is skipped"
        ),
        pytest.param([run(a="passed"), run("acceptance")], ["acceptance: no test ran", "did not run"], id="empty run"),
        pytest.param([run(a="passed")], [f"the proof did not run: {PROOF}"], id="the proof is absent"),
        pytest.param(
            [run(proof_a="passed", proof_b="skipped")],
            [f"the proof was skipped: {PROOF}::proof_b"],
            id="the proof is skipped in part",
        ),
        pytest.param(
            [run(a="passed", proof_a="skipped")],
            [f"the proof did not run: {PROOF}"],
            id="the proof is skipped wholly",
        ),
        pytest.param(
            [run(a="skipped", proof_a="passed", on_assets=("a",))],
            ["on real assets, but not passed: tests/test_x.py::a"],
            id="a test on assets is skipped",
        ),
        pytest.param(
            [run(a="passed", proof_a="passed", on_assets=("a", "b"))],
            ["on real assets, but not passed: tests/test_x.py::b"],
            id="a test on assets is chosen by no run",
        ),
        pytest.param(
            [
                run(a="passed", on_assets=("a", "b")),
                run("acceptance", b="passed", proof_a="passed", on_assets=("a", "b")),
            ],
            [],
            id="the two runs share the tests on assets",
        ),
    ],
)
def test_what_stands_against_runs(runs: list[Run], told: list[str]) -> None:
    said = complaints(runs, proofs=[PROOF])
    assert len(said) == len(told)
    assert all(expected in sentence for expected, sentence in zip(told, said, strict=True))


def test_each_proof_must_have_run() -> None:
    other = "tests/end_to_end/test_kills.py"
    assert complaints([run(proof_a="passed")], proofs=[PROOF, other]) == [f"the proof did not run: {other}"]


def test_a_folder_stands_for_every_file_of_tests_below_it(tmp_path: Path) -> None:
    files = [tmp_path / "deeper" / "test_b.py", tmp_path / "test_a.py"]
    for file in (*files, tmp_path / "support.py"):
        file.parent.mkdir(exist_ok=True)
        file.touch()
    assert proofs_at(tmp_path) == [str(file) for file in files]
    assert proofs_at(files[0]) == [str(files[0])]


def test_a_folder_without_tests_proves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(tmp_path / "test.json"), "--proof", str(tmp_path)])
    assert "there is no proof in" in capsys.readouterr().err


def test_the_last_line_adds_the_runs_up() -> None:
    assert summary([run(a="passed", b="skipped"), run(c="passed", d="failed")]) == "2 passed, 1 failed, 1 skipped"


def test_a_run_that_left_no_report_ran_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "test.json"
    report.write_text(json.dumps({"outcomes": {f"{PROOF}::a": "passed"}, "committed_on_assets": []}))
    assert main([str(report), "--proof", PROOF]) == 0
    assert main([str(report), str(tmp_path / "acceptance.json"), "--proof", PROOF]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == ["acceptance: no test ran", "1 passed, 0 failed, 0 skipped"]
