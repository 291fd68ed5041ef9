from collections.abc import Iterator
from random import Random

import numpy as np
import pytest
from prometheus_client import generate_latest

from edge.address import Address
from edge.backoff import Backoff
from edge.camera.frames import Frame
from edge.camera.latest import Cameras, DropPolicy, Feed
from edge.camera.trouble import SourceTrouble, Trouble
from edge.detector.detections import Detections
from edge.detector.providers import EngineState
from edge.metrics.vision import VisionMetrics
from tests.support.prometheus import Scrape, documented


class Film:
    """A source of ten frames, of which each second one is analysed; or a camera that is not there."""

    def __init__(self, camera: str, *, is_there: bool = True) -> None:
        self._camera = camera
        self._is_there = is_there

    def frames(self) -> Iterator[Frame]:
        if not self._is_there:
            raise SourceTrouble(
                source=self._camera,
                address=Address(text="rtsp://10.0.0.7/x"),
                reason=Trouble.UNREACHABLE,
                detail="told by the test",
            )
        for index in range(0, 10, 2):
            image = np.zeros((24, 32, 3), np.uint8)
            yield Frame(at=100.0 + index, image=image, camera=self._camera, index=index)


class Blind:
    def detect(self, frame: Frame) -> Detections:
        return Detections.none()


def told(metrics: VisionMetrics) -> Scrape:
    return Scrape(generate_latest(metrics.registry).decode())


@pytest.fixture
def cameras() -> Iterator[Cameras]:
    """One camera whose frames all came before anybody took one, and one that is not there."""
    feeds = [
        Feed(
            camera=name, source=Film(name, is_there=name == "door"), backoff=Backoff(random=Random(1)),
            policy=DropPolicy.LATEST,
        )
        for name in ("door", "till")
    ]  # fmt: skip
    with Cameras(feeds, clock=lambda: 0.0) as cameras:
        while cameras.counters("door").received < 9 or cameras.state("till") == "starting":
            pass
        yield cameras


def test_who_runs_the_model_is_read_when_somebody_asks() -> None:
    metrics = VisionMetrics()
    now = {"provider": "cpu", "engine": EngineState.BUILDING}
    metrics.watch_model(provider=lambda: str(now["provider"]), engine=lambda: EngineState(now["engine"]))
    assert told(metrics).value("footfall_vision_provider", provider="cpu") == 1
    assert told(metrics).value("footfall_vision_engine", state="building") == 1
    now.update(provider="tensorrt", engine=EngineState.SERVING)
    found = told(metrics)
    assert found.value("footfall_vision_provider", provider="tensorrt") == 1
    assert found.value("footfall_vision_provider", provider="cpu") == 0
    assert found.value("footfall_vision_engine", state="serving") == 1
    assert found.value("footfall_vision_engine", state="building") == 0


def test_each_cameras_frames_and_state_are_read_when_somebody_asks(cameras: Cameras) -> None:
    metrics = VisionMetrics()
    rates = {"door": 4.9}
    metrics.watch_cameras(cameras, rates=lambda: rates)
    before = told(metrics)
    assert before.value("footfall_camera_received_frames_total", camera="door") == 9
    assert before.value("footfall_camera_skipped_frames_total", camera="door") == 4
    assert before.value("footfall_camera_dropped_frames_total", camera="door") == 4
    assert before.value("footfall_camera_analysed_frames_total", camera="door") == 0
    assert before.value("footfall_camera_frames_per_second", camera="door") == 4.9
    assert before.value("footfall_camera_frames_per_second", camera="till") == 0
    states = {
        camera: {
            state
            for state in ("starting", "online", "offline", "finished")
            if before.value("footfall_camera_state", camera=camera, state=state)
        }
        for camera in ("door", "till")
    }
    assert states == {"door": {"finished"}, "till": {"offline"}}
    rates["till"] = 2.5
    assert told(metrics).value("footfall_camera_frames_per_second", camera="till") == 2.5


def test_the_delay_of_each_frame_falls_into_its_bucket(cameras: Cameras) -> None:
    metrics = VisionMetrics()
    metrics.watch_cameras(cameras, rates=dict)
    for delay in (0.01, 0.04, 0.04, 30.0):
        metrics.analysed("door", delay)
    found = told(metrics)
    assert found.value("footfall_camera_analysed_frames_total", camera="door") == 4
    assert found.value("footfall_camera_delay_seconds_sum", camera="door") == pytest.approx(30.09)
    buckets = {
        le: found.value("footfall_camera_delay_seconds_bucket", camera="door", le=le)
        for le in ("0.025", "0.05", "10.0", "+Inf")
    }
    assert buckets == {"0.025": 1, "0.05": 3, "10.0": 3, "+Inf": 4}
    assert found.value("footfall_camera_delay_seconds_count", camera="till") == 0


def test_the_detectors_time_is_measured_and_its_answer_left_alone() -> None:
    metrics = VisionMetrics()
    detector = metrics.timed(Blind())
    frame = Frame(at=1.0, image=np.zeros((24, 32, 3), np.uint8), camera="door", index=0)
    assert [len(detector.detect(frame)) for _ in range(3)] == [0, 0, 0]
    assert told(metrics).value("footfall_vision_inference_seconds_count") == 3


def test_two_processes_worth_of_metrics_share_nothing() -> None:
    first, second = VisionMetrics(), VisionMetrics()
    first.analysed("door", 0.1)
    assert "door" not in told(second).text


def test_the_page_names_every_metric_with_its_type_and_labels(cameras: Cameras) -> None:
    metrics = VisionMetrics()
    metrics.watch_cameras(cameras, rates=dict)
    metrics.watch_model(provider=lambda: "cpu", engine=lambda: EngineState.NONE)
    found = told(metrics)
    assert {name: (kind, found.labels[name]) for name, kind in found.types.items()} == documented(
        "Every process", "Vision"
    )
