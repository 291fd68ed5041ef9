"""How many cameras a box carries: from what a frame costs, and measured with the real pipeline."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge.assembly import eyes
from edge.check import capacity
from edge.check.capacity import RATES, Capacity, Cost, capacity_of, in_words, to_object
from edge.errors import EdgeError
from edge.settings import DetectorSettings

FOOTFALL = Path(sys.executable).with_name("footfall")


def box(*, loop_ms: float, processor_ms: float, decoding_ms: float, cores: int) -> Capacity:
    """A box on which a frame costs so much; a tenth of it is for counting."""
    return Capacity(
        model="made-up",
        provider="CPU",
        frames=100,
        detection=Cost(wall_ms=0.9 * loop_ms, processor_ms=0.9 * processor_ms),
        counting=Cost(wall_ms=0.1 * loop_ms, processor_ms=0.1 * processor_ms),
        decoding=Cost(wall_ms=decoding_ms, processor_ms=decoding_ms),
        cores=cores,
        processors=1.5,
        resident_mib=300.0,
        memory_mib=8000.0,
    )


@pytest.mark.parametrize(
    ("measured", "cameras", "frames_per_second"),
    [
        pytest.param(
            box(loop_ms=20, processor_ms=20, decoding_ms=0, cores=4), [4, 8, 20], 50, id="the loop takes one at a time"
        ),
        pytest.param(
            box(loop_ms=20, processor_ms=40, decoding_ms=8, cores=2), [2, 4, 5], 42, id="analysis and decoding share"
        ),
        pytest.param(
            box(loop_ms=2, processor_ms=1, decoding_ms=8, cores=2), [7, 7, 7], 222, id="all that is sent is decoded"
        ),
        pytest.param(box(loop_ms=900, processor_ms=900, decoding_ms=2, cores=1), [0, 0, 0], 1, id="too slow for one"),
    ],
)
def test_cameras_are_bounded_by_the_loop_and_by_the_cores(
    measured: Capacity, cameras: list[int], frames_per_second: int
) -> None:
    assert [measured.cameras(rate) for rate in RATES] == cameras
    assert round(measured.frames_per_second) == frames_per_second


def test_a_fifth_stays_free() -> None:
    measured = box(loop_ms=10, processor_ms=10, decoding_ms=0, cores=8)
    assert measured.frames_per_second == 100
    assert measured.cameras(10) == 8


def test_plain_words_and_the_programs_object_say_the_same() -> None:
    measured = box(loop_ms=20, processor_ms=40, decoding_ms=8, cores=2)
    said = dict(in_words(measured))
    assert said["model"] == "made-up on CPU"
    assert said["detection"] == "18.0 ms a frame"
    assert said["counting"] == "2.0 ms a frame"
    assert said["decoding"] == "8.0 ms of one core a frame of 1280×720 in H.264"
    assert said["cores"] == "1.5 of 2 were busy"
    assert said["memory"] == "300 MiB in this process, of 8,000 MiB"
    assert said["cameras"].startswith("2 at 10, 4 at 5, 5 at 2 frames/s analysed, if each sends 25")
    assert said["reserve"].startswith("20%")
    assert to_object(measured)["cameras"] == {"10": 2, "5": 4, "2": 5}


def test_the_real_pipeline_is_measured() -> None:
    seeing = eyes(DetectorSettings(model="figures", threads=1), environment={})
    measured = capacity_of(seeing, seconds=0.5)
    assert (measured.model, measured.provider) == ("figures", "cpu")
    costs = (measured.decoding, measured.detection, measured.counting)
    assert sum(cost.wall_ms for cost in costs) * measured.frames == pytest.approx(500, rel=0.5)
    assert all(cost.wall_ms > 0 and cost.processor_ms > 0 for cost in costs)
    assert measured.frames_per_second > 0
    assert 0 < measured.processors <= measured.cores + 0.1
    assert 50 < measured.resident_mib < measured.memory_mib


def test_a_box_that_cannot_make_the_film_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "_ENCODER", "no-such-encoder")
    with pytest.raises(EdgeError, match=r"no film to measure with can be made: .*no-such-encoder"):
        capacity_of(eyes(DetectorSettings(), environment={}), seconds=0.1)


def bench(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FOOTFALL, "edge", "bench", *words], capture_output=True, text=True, check=False, timeout=60, cwd=folder
    )


def test_the_command_needs_a_model_and_nothing_else(tmp_path: Path) -> None:
    done = bench("--model", "figures", "--duration", "0.2", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["model"] == "figures"
    assert said["cameras"].keys() == {"10", "5", "2"}
    assert not list(tmp_path.iterdir())


def test_the_command_takes_the_configured_detector(tmp_path: Path) -> None:
    config = tmp_path / "edge.toml"
    config.write_text(
        'box = { id = "box", venue = "shop" }\ndetector = { model = "figures", threads = 1 }\n'
        'camera = [{ id = "floor", synthetic = {} }]\n'
    )
    done = bench("--config", config, "--duration", "0.2", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "model       figures on CPU"
    assert [line.split()[0] for line in done.stdout.splitlines()][-2:] == ["cameras", "reserve"]
    other = bench("--config", config, "--model", "nowhere.onnx", "--duration", "0.2", folder=tmp_path)
    assert other.returncode == 1
    assert "nowhere.onnx" in other.stderr


def test_a_missing_configuration_is_told(tmp_path: Path) -> None:
    done = bench("--config", tmp_path / "nowhere.toml", folder=tmp_path)
    assert done.returncode == 2
    assert "nowhere.toml" in done.stderr
