"""`footfall edge enrol`, where something is wrong on the box: a code is good once, so that must come out first."""

import io
import sys
from pathlib import Path

import pytest

import edge.enrolment.cloud
from edge.enrolment.cloud import EnrolmentRefused
from footfall import main
from protocol.enrolment import Code

CODE = str(Code.make(authority="A" * 26))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Who was asked; nobody answers well."""
    found: list[str] = []

    def ask(cloud: str, **_: object) -> None:
        found.append(cloud)
        raise EnrolmentRefused(f"{cloud} refuses")

    monkeypatch.setattr(edge.enrolment.cloud, "ask_to_enrol", ask)
    return found


def enrol(folder: Path, *words: str) -> int:
    return main(["edge", "enrol", "--cloud", "https://cloud.example", "--folder", str(folder), *words])


def test_a_folder_that_cannot_be_written_costs_no_code(
    tmp_path: Path, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert enrol(tmp_path / "file" / "enrolment", "--code", CODE) == 2
    assert "cannot be written by this user" in capsys.readouterr().err
    assert asked == []


def test_a_draft_that_stands_in_the_way_costs_no_code(tmp_path: Path, asked: list[str]) -> None:
    (tmp_path / "next.pem").mkdir()
    (tmp_path / "next.pem" / "something").touch()
    assert enrol(tmp_path, "--code", CODE) == 2
    assert asked == []


def test_a_cloud_that_refuses_leaves_what_is_there(tmp_path: Path, asked: list[str]) -> None:
    (tmp_path / "box.pem").write_text("the present one")
    assert enrol(tmp_path, "--code", CODE) == 1
    assert asked == ["https://cloud.example"]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"box.pem": "the present one"}


@pytest.mark.parametrize("is_typed", [False, True], ids=["file", "standard input"])
def test_what_is_no_text_is_no_code(
    tmp_path: Path,
    asked: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    is_typed: bool,
) -> None:
    file = tmp_path / "code"
    file.write_bytes(b"\xff\xfe\x00")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe\x00"), encoding="utf-8"))
    assert enrol(tmp_path / "enrolment", "--code-file", "-" if is_typed else str(file)) == 2
    assert "this is no text, and so no code" in capsys.readouterr().err
    assert asked == []
