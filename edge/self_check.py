"""What a camera that plays finds out about itself: whether its pictures are fit, and if it sees things for people."""

from edge.camera.fitness import Fitness, Flaw
from edge.camera.frames import Frame
from protocol.events import HealthReason

__all__ = ["SelfCheck"]


class SelfCheck:
    """The findings about one camera; `finding` is the worst one of now."""

    def __init__(self) -> None:
        self._fitness = Fitness()
        self.finding = HealthReason.NONE

    def look(self, frame: Frame, *, things: int, is_overloaded: bool) -> bool:
        """Judge a frame, unmasked; whether the finding has changed. An overloaded box sees too little of any camera.

        things: how many of those it sees look like people.
        """
        before, self.finding = self.finding, self._worst(frame, things=things, is_overloaded=is_overloaded)
        return self.finding is not before

    def begin_anew(self) -> None:
        """Forget how the camera's pictures usually look, because it was away."""
        self._fitness.begin_anew()
        self.finding = HealthReason.NONE

    def _worst(self, frame: Frame, *, things: int, is_overloaded: bool) -> HealthReason:
        flaw = self._fitness.look(frame.image, frame.at)
        if flaw is not Flaw.NONE:
            return HealthReason(str(flaw))
        if is_overloaded:
            return HealthReason.OVERLOADED
        return HealthReason.STATIC_OBJECT if things else HealthReason.NONE
