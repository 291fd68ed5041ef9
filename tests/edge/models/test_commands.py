import argparse
import hashlib
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.models.commands import add_commands
from tests.support.file_server import FileServer

CONTENT = bytes(range(256)) * 4_000
COMMAND = (
    "import argparse, sys; from edge.models.commands import add_commands; parser = argparse.ArgumentParser();"
    "add_commands(parser.add_subparsers()); arguments = parser.parse_args(); sys.exit(arguments.handler(arguments))"
)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer(CONTENT) as running:
        yield running


@pytest.fixture
def manifest(server: FileServer, tmp_path: Path) -> Path:
    """Two models of our own: one free, one that needs consent."""
    template = """
[[models]]
name = "{name}"
url = "{url}/{name}.onnx"
{sha256}
licence = {{ spdx = "{spdx}", url = "https://example.org/{spdx}", needs_consent = {consent} }}
"""
    known = f'sha256 = "{hashlib.sha256(CONTENT).hexdigest()}"'
    free = template.format(name="free", url=server.url, sha256=known, spdx="MIT", consent="false")
    bound = template.format(name="bound", url=server.url, sha256="", spdx="AGPL-3.0-only", consent="true")
    path = tmp_path / "own.toml"
    path.write_text(free + bound)
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FOOTFALL_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def run(*words: str) -> int:
    parser = argparse.ArgumentParser(prog="footfall")
    add_commands(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["models", *words])
    code: int = arguments.handler(arguments)
    return code


def test_list_shows_each_model_with_its_state(manifest: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull", "free", "--manifest", str(manifest)) == 0
    capsys.readouterr()
    assert run("list", "--manifest", str(manifest)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []
    rows = {line.split()[0]: line for line in lines if line}
    assert " yes " in rows["free"]
    assert " no " in rows["yolox-nano"]
    assert "3.7 MB" in rows["yolox-nano"]
    assert "AGPL-3.0-only (to be accepted)" in rows["bound"]
    assert str(folder) in rows["Folder:"]


def test_pull_in_a_log_is_a_few_plain_lines(manifest: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pull", "free", "--manifest", str(manifest)) == 0
    out = capsys.readouterr().out
    assert "free: 100 % of 1.0 MB" in out
    assert f"free is installed: {folder / 'free.onnx'}" in out
    assert len(out.splitlines()) <= 13
    assert "\x1b" not in out
    assert "\r" not in out


def test_pull_that_needs_consent_is_refused_without_a_person_and_says_how(
    manifest: Path, server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pull", "bound", "--manifest", str(manifest)) == 2
    err = capsys.readouterr().err
    assert "https://example.org/AGPL-3.0-only" in err
    assert "footfall models pull bound --accept-licence" in err
    assert server.behaviour.requests == []


def test_accepted_licence_is_remembered_and_a_first_pull_says_that_it_pins(
    manifest: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("pull", "bound", "--accept-licence", "--manifest", str(manifest)) == 0
    assert f"pinned at this first pull: sha256 {hashlib.sha256(CONTENT).hexdigest()}" in capsys.readouterr().out
    (folder / "bound.onnx").unlink()
    assert run("pull", "bound", "--manifest", str(manifest)) == 0
    assert "pinned" not in capsys.readouterr().out


def at_a_terminal(answer: str, *words: str) -> tuple[int, str]:
    """Run the command as a person would: standard input and output are a terminal."""
    terminal, program = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, "models", *words], stdin=program, stdout=program, stderr=program
    ) as process:
        os.close(program)
        os.write(terminal, f"{answer}\n".encode())
        shown = b""
        try:
            while piece := os.read(terminal, 4096):
                shown += piece
        except OSError:  # a terminal whose program has ended reads as an error on Linux
            pass
        code = process.wait(timeout=30)
    os.close(terminal)
    return code, shown.decode()


def test_person_at_a_terminal_is_asked_and_sees_a_bar(manifest: Path, folder: Path) -> None:
    code, shown = at_a_terminal("y", "pull", "bound", "--manifest", str(manifest))
    assert code == 0
    assert "do you accept it? [y/N]" in shown
    assert "━" in shown
    assert (folder / "bound.onnx").read_bytes() == CONTENT


def test_person_who_does_not_agree_gets_nothing(manifest: Path, folder: Path, server: FileServer) -> None:
    code, shown = at_a_terminal("", "pull", "bound", "--manifest", str(manifest))
    assert code == 2
    assert "nothing was fetched" in shown
    assert server.behaviour.requests == []


def test_box_without_internet_takes_a_file(manifest: Path, folder: Path, server: FileServer, tmp_path: Path) -> None:
    carried = tmp_path / "stick.onnx"
    carried.write_bytes(CONTENT)
    assert run("pull", "free", "--from", str(carried), "--manifest", str(manifest)) == 0
    assert (folder / "free.onnx").read_bytes() == CONTENT
    assert server.behaviour.requests == []


def test_verify_tells_whole_from_changed(manifest: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", "--manifest", str(manifest)) == 0
    assert "No model is installed" in capsys.readouterr().out
    run("pull", "free", "--manifest", str(manifest))
    assert run("verify", "--manifest", str(manifest)) == 0
    assert "free: whole" in capsys.readouterr().out
    (folder / "free.onnx").write_bytes(CONTENT[:-1])
    assert run("verify", "--manifest", str(manifest)) == 1
    assert "free: CHANGED" in capsys.readouterr().out


FAILURES = {
    "a name that is close": (["pull", "fre"], 1, "did you mean free or figures?"),
    "a manifest that is not there": (["list", "--manifest", "nowhere.toml"], 2, "nowhere.toml"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_failures_are_one_clear_line_and_an_exit_code(
    case: str, manifest: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, code, message = FAILURES[case]
    given = words if "--manifest" in words else [*words, "--manifest", str(manifest)]
    assert run(*given) == code
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert message in err


def test_wrong_checksum_is_a_failure_that_names_both_sums(
    manifest: Path, folder: Path, server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.behaviour.content = bytes(len(CONTENT))
    assert run("pull", "free", "--manifest", str(manifest)) == 1
    err = capsys.readouterr().err
    assert hashlib.sha256(CONTENT).hexdigest() in err
    assert hashlib.sha256(bytes(len(CONTENT))).hexdigest() in err
    assert not (folder / "free.onnx").exists()
