"""The `footfall` command finds the module that serves a word, and says what to install where one is missing."""

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from footfall import main

ROOT = Path(__file__).parent.parent

# Takes modules away from the interpreter that runs it, as if `missing` had not been installed.
WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name={missing!r} or name)
sys.meta_path.insert(0, Absent())
from footfall import main
raise SystemExit(main({arguments!r}))
"""


def run_without(absent: set[str], *arguments: str, missing: str | None = None) -> subprocess.CompletedProcess[str]:
    """The command on a machine where importing any of `absent` fails, for want of `missing`."""
    code = WITHOUT.format(absent=absent, missing=missing, arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_alone_it_shows_a_newcomer_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    words = re.findall(r"^    (\w+)", capsys.readouterr().out, flags=re.MULTILINE)
    assert words == ["models", "edge", "fleet", "cloud"]


def test_its_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"footfall {version('footfall')}\n"


def test_an_unknown_word_is_told_with_those_it_knows(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["egde"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "egde" in told
    assert "edge" in told.replace("egde", "")


@pytest.mark.parametrize("word", ["models", "edge", "fleet", "cloud"])
def test_each_word_explains_itself(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([word, "--help"])
    assert ended.value.code == 0
    assert f"usage: footfall {word}" in capsys.readouterr().out


@pytest.mark.parametrize("word", ["models", "edge", "fleet", "cloud"])
def test_a_word_without_its_command_is_a_wrong_use(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: object = main([word])
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    told = capsys.readouterr()
    assert f"usage: footfall {word}" in told.out + told.err


@pytest.mark.parametrize(
    ("word", "module", "missing", "extra"),
    [
        ("models", "edge.models.commands", "httpx", "edge"),
        ("edge", "edge.cli", "onnxruntime.capi", "edge"),
        ("cloud", "cloud.cli", "sqlalchemy", "cloud"),
    ],
)
def test_a_missing_extra_is_one_clear_line(word: str, module: str, missing: str, extra: str) -> None:
    ended = run_without({module}, word, "--help", missing=missing)
    hint = f"it comes with the extra `{extra}`: pip install 'footfall[{extra}]'"
    told = f"footfall {word}: {missing.partition('.')[0]} is not installed; {hint}"
    assert (ended.stderr.splitlines(), ended.returncode) == ([told], 2)


def test_a_mistake_of_our_own_is_not_taken_for_a_missing_extra() -> None:
    ended = run_without({"edge.cli"}, "edge", "--help")
    assert ended.returncode == 1
    assert "Traceback" in ended.stderr


@pytest.mark.parametrize(
    ("word", "absent"),
    [
        pytest.param("models", {"alembic", "fastapi", "psycopg", "sqlalchemy", "sqlmodel"}, id="models without cloud"),
        pytest.param("edge", {"alembic", "fastapi", "psycopg", "sqlalchemy", "sqlmodel"}, id="edge without cloud"),
        pytest.param("cloud", {"av", "cv2", "onnxruntime", "trackers"}, id="cloud without edge"),
        pytest.param("cloud", {"fastapi", "starlette", "uvicorn"}, id="cloud until it serves"),
    ],
)
def test_a_machine_with_one_extra_has_that_extras_commands(word: str, absent: set[str]) -> None:
    ended = run_without(absent, word, "--help")
    assert ended.returncode == 0, ended.stderr
