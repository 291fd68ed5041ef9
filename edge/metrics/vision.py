"""The metrics of the process that sees: frames and delay of each camera, and the time that the detector takes."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edge.camera.frames import Frame
from edge.camera.health import HealthState
from edge.camera.latest import Cameras
from edge.detector.detections import Detections, Detector
from edge.detector.providers import PREFERENCE, EngineState
from edge.metrics.server import make_registry

__all__ = ["DELAY_SECONDS", "VisionMetrics"]

DELAY_SECONDS = (0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0)
_INFERENCE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class VisionMetrics:
    """What vision counts itself, in a registry that reads the cameras when it is asked."""

    def __init__(self) -> None:
        self.registry = make_registry()
        self._analysed = Counter(
            "footfall_camera_analysed_frames", "Frames analysed.", ["camera"], registry=self.registry
        )
        self._idled = Counter(
            "footfall_camera_idle_frames",
            "Frames analysed without the detector, because nobody was there and nothing moved.",
            ["camera"],
            registry=self.registry,
        )
        self._delay = Histogram(
            "footfall_camera_delay_seconds",
            "From the moment that a frame shows until it is analysed.",
            ["camera"],
            buckets=DELAY_SECONDS,
            registry=self.registry,
        )
        self._share = Gauge(
            "footfall_vision_rate_share",
            "Of the rates that cameras ask for, what this box carries; below 1 it is overloaded.",
            registry=self.registry,
        )
        self._inference = Histogram(
            "footfall_vision_inference_seconds",
            "The detector's time for one frame.",
            buckets=_INFERENCE_SECONDS,
            registry=self.registry,
        )

    def watch_cameras(
        self, cameras: Cameras, *, rates: Callable[[], Mapping[str, float]], share: Callable[[], float] = lambda: 1.0
    ) -> None:
        """Tell of these cameras; `rates` are frames analysed a second, `share` is what the scheduler allows of them."""
        for camera in cameras.names:
            self._analysed.labels(camera)
            self._delay.labels(camera)
            self._idled.labels(camera)
        self._share.set_function(share)
        self.registry.register(_CameraCollector(cameras, rates))

    def watch_model(self, *, provider: Callable[[], str], engine: Callable[[], EngineState]) -> None:
        """Tell who runs the model, and how it stands with its engine."""
        self.registry.register(_ModelCollector(provider, engine))

    def timed(self, detector: Detector) -> Detector:
        """The same detector, under the clock."""
        return _Timed(detector, self._inference)

    def idled(self, camera: str) -> None:
        """The detector was not asked about a frame."""
        self._idled.labels(camera).inc()

    def analysed(self, camera: str, delay_seconds: float) -> None:
        """A frame was analysed so long after the moment that it shows."""
        self._analysed.labels(camera).inc()
        self._delay.labels(camera).observe(delay_seconds)


class _Timed:
    def __init__(self, detector: Detector, seconds: Histogram) -> None:
        self._detector = detector
        self._seconds = seconds

    def detect(self, frame: Frame) -> Detections:
        with self._seconds.time():
            return self._detector.detect(frame)


class _ModelCollector(Collector):
    def __init__(self, provider: Callable[[], str], engine: Callable[[], EngineState]) -> None:
        self._provider = provider
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        providers = GaugeMetricFamily("footfall_vision_provider", "1 at what runs the model.", labels=["provider"])
        engines = GaugeMetricFamily(
            "footfall_vision_engine", "1 at the present state of the engine that the provider builds.", labels=["state"]
        )
        provider, engine = self._provider(), self._engine()
        for name in PREFERENCE:
            providers.add_metric([name], float(name == provider))
        for state in EngineState:
            engines.add_metric([str(state)], float(state is engine))
        yield from (providers, engines)


class _CameraCollector(Collector):
    def __init__(self, cameras: Cameras, rates: Callable[[], Mapping[str, float]]) -> None:
        self._cameras = cameras
        self._rates = rates

    def collect(self) -> Iterator[Metric]:
        received = CounterMetricFamily("footfall_camera_received_frames", "Frames received.", labels=["camera"])
        skipped = CounterMetricFamily(
            "footfall_camera_skipped_frames", "Frames passed over to keep to `camera.rate`.", labels=["camera"]
        )
        dropped = CounterMetricFamily(
            "footfall_camera_dropped_frames", "Frames replaced by a newer one before they were analysed.",
            labels=["camera"],
        )  # fmt: skip
        rate = GaugeMetricFamily(
            "footfall_camera_frames_per_second", "Frames analysed a second, over the last few seconds.",
            labels=["camera"],
        )  # fmt: skip
        state = GaugeMetricFamily("footfall_camera_state", "1 at its present state.", labels=["camera", "state"])
        rates = self._rates()
        for camera in self._cameras.names:
            counters, present = self._cameras.counters(camera), self._cameras.state(camera)
            received.add_metric([camera], counters.received)
            skipped.add_metric([camera], counters.skipped)
            dropped.add_metric([camera], counters.dropped)
            rate.add_metric([camera], rates.get(camera, 0.0))
            for one in HealthState:
                state.add_metric([camera, str(one)], float(one is present))
        yield from (received, skipped, dropped, rate, state)
