"""A network that serves at once with what is at hand, and with its engine from the frame after that is ready.

Nothing here waits but by request: the loop that detects looks between two frames whether the engine is there, and opens
it then, which takes a moment in which no frame is analysed.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from edge.camera.frames import Frame
from edge.detector.description import Description
from edge.detector.detections import Detections
from edge.detector.engines import Build, builder_of, folder_of, forget, prune
from edge.detector.onnx import OnnxDetector
from edge.detector.providers import AUTO, EngineState, Unbuilt, title_of
from edge.detector.recipe import Recipe
from edge.errors import ModelError

__all__ = ["Building", "OpenNetwork", "Serving", "serve"]

_log = logging.getLogger(__name__)


class OpenNetwork(Protocol):
    """An open network, as `OnnxDetector` is one."""

    description: Description
    provider: str

    def detect(self, frame: Frame) -> Detections:
        """The people in this frame."""
        ...


class Building(Protocol):
    """An engine in the making, as `Build` is one."""

    def poll(self) -> bool:
        """Whether it is ready; raises ModelError when it never will be."""
        ...

    def close(self) -> None:
        """Give it up."""
        ...


class Serving:
    """The network that serves now; `builder` is the provider whose engine is wanted, where one is."""

    def __init__(self, network: OpenNetwork, *, state: EngineState, builder: str = "") -> None:
        self._network = network
        self.state = state
        self.builder = builder
        self._build: Building | None = None
        self._open_faster: Callable[[], OpenNetwork]

    @property
    def provider(self) -> str:
        """Who runs the network, in the words of the settings."""
        return self._network.provider

    @property
    def description(self) -> Description:
        """What is known of the network."""
        return self._network.description

    def change_after(self, build: Building, open_faster: Callable[[], OpenNetwork]) -> None:
        """Go on as now, and with another network from the frame after its engine is built."""
        self._build, self._open_faster = build, open_faster
        self.state = EngineState.BUILDING

    def detect(self, frame: Frame) -> Detections:
        """The people in this frame."""
        if self._build is not None:
            self._change(self._build)
        return self._network.detect(frame)

    def close(self) -> None:
        """Give up the engine in the making."""
        if self._build is not None:
            self._build.close()
            self._build = None

    def give_up(self, reason: ModelError) -> None:
        """Stay with what serves, and say why."""
        self._build, self.state = None, EngineState.FAILED
        _log.warning(
            "no engine for %s, so %s serves: %s", title_of(self.builder), title_of(self.provider), reason,
            extra={"action": "give up an engine"},
        )  # fmt: skip

    def _change(self, build: Building) -> None:
        try:
            if not build.poll():
                return
            faster = self._open_faster()
        except ModelError as error:
            self.give_up(error)
            return
        _log.info(
            "%s serves instead of %s", title_of(faster.provider), title_of(self.provider),
            extra={"action": "change provider"},
        )  # fmt: skip
        self._network, self._build, self.state = faster, None, EngineState.SERVING


def serve(recipe: Recipe, *, digest: str, engines: Path, unbuilt: Unbuilt) -> Serving:
    """Open a network, with its engine where there is one; `digest` is the sha256 of its file. Raises ModelError.

    Who waits gets the engine; where it can't be had and was not named, what needs none serves, and a warning says so.
    """
    builder = builder_of(recipe)
    if builder is None:
        return Serving(OnnxDetector(recipe), state=EngineState.NONE)
    engine = folder_of(recipe, digest=digest, among=engines)
    if engine.is_dir():
        try:
            return _with_engine(recipe, engine, builder)
        except ModelError as error:
            _log.warning(
                "the engine for %s is forgotten: %s", title_of(builder), error, extra={"action": "forget an engine"}
            )
            forget(engine)
    if unbuilt is Unbuilt.WAIT:
        return _waited(recipe, engine, builder)
    serving = Serving(OnnxDetector(recipe), state=EngineState.MISSING, builder=builder)
    if unbuilt is Unbuilt.IN_BACKGROUND:
        _build_behind(serving, recipe, engine)
    return serving


def _with_engine(recipe: Recipe, engine: Path, builder: str) -> Serving:
    network = OnnxDetector(recipe, engine=engine)
    prune(engine.parent, newest=engine, now=time.time())
    return Serving(network, state=EngineState.SERVING, builder=builder)


def _waited(recipe: Recipe, engine: Path, builder: str) -> Serving:
    _log.info(
        "building an engine for %s, which may take minutes", title_of(builder), extra={"action": "build an engine"}
    )
    try:
        Build(recipe, engine).wait()
        return _with_engine(recipe, engine, builder)
    except ModelError as error:
        if recipe.providers != AUTO:
            raise
        serving = Serving(OnnxDetector(recipe), state=EngineState.MISSING, builder=builder)
        serving.give_up(error)
        return serving


def _build_behind(serving: Serving, recipe: Recipe, engine: Path) -> None:
    try:
        build = Build(recipe, engine)
    except ModelError as error:
        serving.give_up(error)
        return
    _log.info(
        "building an engine for %s, which may take minutes; %s serves meanwhile",
        title_of(serving.builder), title_of(serving.provider),
        extra={"action": "build an engine"},
    )  # fmt: skip
    serving.change_after(build, lambda: OnnxDetector(recipe, engine=engine))
