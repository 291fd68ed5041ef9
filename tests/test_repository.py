"""What must hold of the repository itself: its pins, its versions, its chores, and what its files never say."""

import os
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.requirements import FILES, RequirementFile

ROOT = Path(__file__).parent.parent
LOCK_NAMES = {"package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock", "pdm.lock"}
CLASHING = ({"onnxruntime", "onnxruntime-gpu"}, {"opencv-python", "opencv-python-headless", "opencv-contrib-python"})
MAY_NAME_THE_WORKPLACE = Path(".ci/run")
# Said in pieces, since this file is checked too.
WORKPLACE = re.compile(r"(?<![\w.])/" + r"work(?![\w-])|\.\./" + "shared")
MACHINES = [
    pytest.param(
        {"python_version": python, "python_full_version": f"{python}.2", "platform_machine": machine},
        id=f"{python} on {machine}",
    )
    for python in ("3.11", "3.12", "3.13")
    for machine in ("x86_64", "aarch64")
]
REQUIREMENT_FILES = [pytest.param(file, id=file.path.name) for file in FILES]


@cache
def repository_files() -> tuple[Path, ...]:
    """What is committed or about to be; outside a checkout, every file that no tool made."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode == 0:
        names = [Path(name) for name in listing.stdout.split("\0") if name]
        return tuple(path for path in names if (ROOT / path).is_file())
    made = {".venv", ".git", "__pycache__", "build", "dist"}
    paths = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file()]
    return tuple(p for p in paths if not made & set(p.parts) and not any("_cache" in part for part in p.parts))


def pins(path: Path) -> dict[Requirement, int]:
    """Each pin of a requirement file, and how many hashes it has."""
    entries = re.split(r"\n(?=\S)", (ROOT / path).read_text().strip())
    return {Requirement(entry.split("\\")[0]): entry.count("--hash=sha256:") for entry in entries}


def names_on(path: Path, machine: dict[str, str]) -> list[str]:
    """What the file installs on this machine, under Linux."""
    environment = {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux", **machine}
    return [str(canonicalize_name(p.name)) for p in pins(path) if p.marker is None or p.marker.evaluate(environment)]


def project() -> dict[str, object]:
    """The table `project` of pyproject.toml."""
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return table


def direct_requirements(file: RequirementFile) -> list[Requirement]:
    """What pyproject.toml itself asks for in the extras of this file."""
    table = project()
    extras, always = table["optional-dependencies"], table["dependencies"]
    assert isinstance(extras, dict)
    assert isinstance(always, list)
    wanted = [Requirement(text) for text in [*always, *(text for extra in file.extras for text in extras[extra])]]
    return [each for each in wanted if each.name != "footfall"]


def test_every_requirement_file_is_one_that_the_makefile_compiles() -> None:
    committed = {path for path in repository_files() if path.match("requirements/*.txt")}
    assert committed == {file.path for file in FILES} | {file.overrides for file in FILES}


def test_no_file_of_pins_holds_an_address() -> None:
    files = [path for path in repository_files() if path.match("requirements/*") or path.name in LOCK_NAMES]
    assert files
    assert [str(path) for path in files if re.search(r"https?://", (ROOT / path).read_text())] == []


def test_there_is_no_uv_lock_since_it_holds_addresses() -> None:
    assert [str(path) for path in repository_files() if path.name == "uv.lock"] == []


@pytest.mark.parametrize("file", REQUIREMENT_FILES)
def test_each_pin_is_exact_and_hashed(file: RequirementFile) -> None:
    loose = [
        str(pin) for pin, hashes in pins(file.path).items() if not hashes or not str(pin.specifier).startswith("==")
    ]
    assert loose == []


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("file", REQUIREMENT_FILES)
def test_of_packages_that_clash_exactly_one_is_installed(file: RequirementFile, machine: dict[str, str]) -> None:
    installed = names_on(file.path, machine)
    for clashing in CLASHING:
        found = [name for name in installed if name in clashing]
        assert len(found) == ("edge" in file.extras), f"{file.path} installs {found} of {sorted(clashing)}"


def test_a_gpu_box_gets_the_runtime_for_gpus() -> None:
    assert "onnxruntime-gpu" in names_on(Path("requirements/edge-gpu.txt"), {})


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("file", REQUIREMENT_FILES)
def test_the_pins_satisfy_pyproject(file: RequirementFile, machine: dict[str, str]) -> None:
    dropped = set().union(*CLASHING)
    chosen = {canonicalize_name(p.name): p for p in pins(file.path) if p.marker is None or p.marker.evaluate(machine)}
    for wanted in direct_requirements(file):
        if wanted.name in dropped and wanted.name not in chosen:
            continue
        assert canonicalize_name(wanted.name) in chosen, f"{wanted} is not in {file.path}: run `make requirements`"
        version = str(chosen[canonicalize_name(wanted.name)].specifier).removeprefix("==")
        assert wanted.specifier.contains(version, prereleases=True), f"{wanted} but {file.path} pins {version}"


def test_no_file_names_the_place_where_it_was_written() -> None:
    found = {}
    for path in repository_files():
        if path != MAY_NAME_THE_WORKPLACE:
            text = (ROOT / path).read_bytes().decode("utf-8", errors="ignore")
            if lines := [number for number, line in enumerate(text.splitlines(), 1) if WORKPLACE.search(line)]:
                found[str(path)] = lines
    assert found == {}


@pytest.mark.parametrize(
    ("line", "is_told"),
    [
        ("cd /" + "work/main", True),
        ("FOLDER=/" + "work", True),
        ("look in ../" + "shared/assets", True),
        ("GET /api/v1/" + "workers", False),
        ("rest/" + "work balance", False),
    ],
)
def test_the_workplace_is_recognised(line: str, is_told: bool) -> None:
    assert bool(WORKPLACE.search(line)) == is_told


def test_the_changelog_opens_with_the_version_of_the_project() -> None:
    versions = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert versions[0] == project()["version"]


def test_contributing_fits_on_a_page() -> None:
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) < 40


def test_the_readme_names_the_test_command_that_ci_runs() -> None:
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```.*?\n(.*?)^```|((?:^ {4}.*\n)+)", readme, flags=re.MULTILINE | re.DOTALL)
    assert any("make test" in block for pair in blocks for block in pair)
    assert re.search(r"^step .*make test$", (ROOT / ".ci/run").read_text(), flags=re.MULTILINE)


def test_each_target_of_the_makefile_says_what_it_is_for() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):", text, flags=re.MULTILINE)
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert re.findall(r"^  make ([a-z-]+) +\w", listed.stdout, flags=re.MULTILINE) == targets
    assert {"setup", "demo", "test", "acceptance", "lint", "bench"} <= set(targets)


@pytest.mark.parametrize(
    "path",
    [".ci/run", "tools/install_debian_packages.sh", "tools/install_python_packages.sh", "tools/fetch_front_end.sh"],
)
def test_scripts_can_be_run_and_stop_at_the_first_error(path: str) -> None:
    assert os.access(ROOT / path, os.X_OK)
    assert "set -euo pipefail" in (ROOT / path).read_text()
    assert subprocess.run(["bash", "-n", ROOT / path], check=False).returncode == 0


def test_packages_of_debian_are_named_one_a_line() -> None:
    lines = [line for line in (ROOT / "debian-packages.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", line)] == []
    assert len(set(lines)) == len(lines)
