"""What a check says of the machine itself: decoders, ONNX Runtime, disk, clock."""

import os
import stat
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

from edge.check.clock import Clock, check_clock, read_clock
from edge.check.decoders import check_decoders
from edge.check.disk import check_disk
from edge.check.findings import Verdict
from edge.check.runtime import check_runtime, clash
from edge.check.versions import check_versions
from edge.clock import Trust
from edge.settings import ExchangeSettings

NOON_MS = 1_772_366_400_000


def test_the_versions_are_told() -> None:
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in check_versions().said


def test_this_ffmpeg_decodes_what_cameras_send() -> None:
    found = check_decoders()
    assert found.verdict is Verdict.OK
    assert "H.264, H.265" in found.said


def test_an_ffmpeg_without_a_decoder_fails() -> None:
    found = check_decoders({"h264", "mjpeg"})
    assert found.verdict is Verdict.FAIL
    assert "cannot decode H.265" in found.said


def install(folder: Path, name: str, *, files: dict[str, int], package: str = "onnxruntime") -> None:
    """Lay a package down as an installer does; `files` are sizes of native files, and overwrite what is there."""
    (folder / package / "capi").mkdir(parents=True, exist_ok=True)
    (folder / package / "__init__.py").write_text("")
    record = [f"{package}/__init__.py,,0"]
    for file, size in files.items():
        (folder / package / "capi" / file).write_bytes(bytes(size))
        record.append(f"{package}/capi/{file},,{size}")
    information = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "RECORD").write_text("\n".join(record) + "\n")


def packages(folder: Path) -> list[Distribution]:
    return list(distributions(path=[str(folder)]))


def test_onnxruntime_of_this_machine_is_whole_and_runs_models() -> None:
    found = check_runtime(["auto"])
    assert (found.verdict, found.advice) == (Verdict.OK, "")
    assert "CPU" in found.said


def test_two_packages_of_onnxruntime_together_are_a_clash(tmp_path: Path) -> None:
    install(tmp_path, "onnxruntime-gpu", files={"state.so": 900, "cuda.so": 500})
    install(tmp_path, "onnxruntime", files={"state.so": 300})
    found = check_runtime(["auto"], installed=packages(tmp_path))
    assert found.verdict is Verdict.FAIL
    assert found.said.startswith("onnxruntime and onnxruntime-gpu are installed together")
    assert "pip uninstall" in found.advice


def test_what_one_of_two_left_behind_is_found_by_its_files(tmp_path: Path) -> None:
    install(tmp_path, "onnxruntime-gpu", files={"state.so": 900, "cuda.so": 500})
    (tmp_path / "onnxruntime/capi/state.so").write_bytes(bytes(300))
    (tmp_path / "onnxruntime/capi/cuda.so").unlink()
    said = clash(packages(tmp_path))
    assert said == "onnxruntime-gpu is installed, but state.so, cuda.so are missing or of another package"


def test_a_package_of_a_similar_name_is_no_clash(tmp_path: Path) -> None:
    install(tmp_path, "onnxruntime-gpu", files={"state.so": 900})
    install(tmp_path, "onnxruntime-extensions", files={"ops.so": 100}, package="onnxruntime_extensions")
    assert clash(packages(tmp_path)) == ""


def test_a_provider_that_is_named_and_not_there_fails() -> None:
    found = check_runtime(["tensorrt"])
    assert found.verdict is Verdict.FAIL
    assert "tensorrt" in found.said


def test_a_disk_with_room_is_well_and_nothing_is_made_on_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    found = check_disk(ExchangeSettings(folder=folder, room_mb=16))
    assert found.verdict is Verdict.OK
    assert "the folder is made at the first start" in found.said
    assert not (tmp_path / "a").exists()


def test_a_budget_beyond_the_disk_is_told(tmp_path: Path) -> None:
    found = check_disk(ExchangeSettings(folder=tmp_path, room_mb=1_000_000))
    assert found.verdict is Verdict.WARN
    assert "exchange.room_mb" in found.advice


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_a_folder_of_another_user_fails(tmp_path: Path) -> None:
    folder = tmp_path / "exchange"
    folder.mkdir(mode=0o755)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == os.geteuid() and path.stat().st_mode & 0o777 == stat.S_IRWXU:
            path.chmod(0o711)
    script = (
        "import os, sys; from pathlib import Path\n"
        "from edge.check.disk import check_disk; from edge.settings import ExchangeSettings\n"
        "os.setgroups([]); os.setgid(64101); os.setuid(64101)\n"
        "found = check_disk(ExchangeSettings(folder=Path(sys.argv[1]))); print(found.verdict, found.said)"
    )
    ended = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, check=True)
    assert ended.stdout == f"fail {folder} cannot be written by this user\n"


@pytest.mark.parametrize(
    ("read", "trust", "verdict", "said"),
    [
        pytest.param(
            (NOON_MS, True, True), Trust.NTP, Verdict.OK, "2026-03-01 12:00 UTC, steered by NTP", id="steered"
        ),
        pytest.param((NOON_MS, False, True), Trust.NTP, Verdict.WARN, "times wait", id="not steered"),
        pytest.param((NOON_MS, False, False), Trust.ALWAYS, Verdict.WARN, "believed as it is", id="trusted unsteered"),
        pytest.param((NOON_MS, True, False), Trust.NTP, Verdict.OK, "there is no hardware clock", id="no battery"),
        pytest.param((40_000, True, False), Trust.NTP, Verdict.FAIL, "1970-01-01", id="long before this program"),
    ],
)
def test_the_clock_is_judged_by_who_steers_it(
    read: tuple[int, bool, bool], trust: Trust, verdict: Verdict, said: str
) -> None:
    utc_ms, disciplined, has_hardware_clock = read
    found = check_clock(Clock(utc_ms=utc_ms, disciplined=disciplined, has_hardware_clock=has_hardware_clock), trust)
    assert found.verdict is verdict
    assert said in found.said


def test_this_machines_clock_can_be_read() -> None:
    assert read_clock().utc_ms > NOON_MS
