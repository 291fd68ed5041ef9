"""What a camera that plays finds out about itself: whether its pictures are fit, and which things look like people."""

from edge.camera.fitness import Fitness, Flaw
from edge.camera.frames import Frame
from edge.detector.detections import Detections
from edge.fixtures import Fixtures
from protocol.events import HealthReason

__all__ = ["SelfCheck"]


class SelfCheck:
    """The findings about one camera; `finding` is the worst one of now."""

    def __init__(self) -> None:
        self._fitness = Fitness()
        self._fixtures = Fixtures()
        self.finding = HealthReason.NONE

    def people_among(self, found: Detections, frame: Frame) -> Detections:
        """What was found in a frame, without the things that look like people."""
        return self._fixtures.without(found, frame.image, frame.at)

    def look(self, frame: Frame, *, is_overloaded: bool) -> bool:
        """Judge a frame, unmasked; whether the finding has changed. An overloaded box sees too little of any camera."""
        before, self.finding = self.finding, self._worst(frame, is_overloaded=is_overloaded)
        return self.finding is not before

    def begin_anew(self) -> None:
        """Forget how the camera's pictures usually look, because it was away."""
        self._fitness.begin_anew()
        self.finding = HealthReason.NONE

    def _worst(self, frame: Frame, *, is_overloaded: bool) -> HealthReason:
        flaw = self._fitness.look(frame.image, frame.at)
        if flaw is not Flaw.NONE:
            return HealthReason(str(flaw))
        if is_overloaded:
            return HealthReason.OVERLOADED
        return HealthReason.STATIC_OBJECT if self._fixtures.count else HealthReason.NONE
