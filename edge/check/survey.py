"""All topics, one after another; without a configuration, those that need none."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

from edge.check.broker import check_broker
from edge.check.cameras import check_cameras
from edge.check.clock import check_clock, read_clock
from edge.check.decoders import check_decoders
from edge.check.disk import check_disk
from edge.check.egress import check_egress
from edge.check.enrolment import check_enrolment
from edge.check.findings import Finding, Verdict, fail, ok, warn
from edge.check.runtime import check_runtime
from edge.check.secrets import check_secrets
from edge.check.versions import check_versions
from edge.configuration import load
from edge.errors import ConfigurationError
from edge.overlap import shared_m2
from edge.settings import CameraSettings, DetectorSettings, ExchangeSettings, Settings
from edge.view import floor_of

__all__ = ["check_configuration", "survey"]


def survey(config: Path, *, is_named: bool, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Findings as they come; `is_named` tells a file that somebody asked for from the one that is looked for anyway."""
    yield check_versions()
    settings, findings = _settings(config, is_named=is_named)
    yield from findings
    yield check_decoders()
    yield from _detector(settings, environment=environment)
    if settings is not None:
        yield from check_cameras(settings.cameras)
    yield check_disk(ExchangeSettings() if settings is None else settings.exchange)
    yield check_clock(read_clock()) if settings is None else check_clock(read_clock(), settings.clock.trust)
    if settings is not None:
        yield from check_enrolment(settings, now=datetime.now(UTC))
        yield check_broker(settings)
    yield check_egress()


def check_configuration(config: Path) -> list[Finding]:
    """The configuration by itself: nothing is opened and nobody is asked."""
    return _settings(config, is_named=True)[1]


def _settings(config: Path, *, is_named: bool) -> tuple[Settings | None, list[Finding]]:
    if not is_named and not config.exists():
        said = f"there is none at {config}, so cameras, broker and the model in use were not looked at"
        return None, [warn("configuration", said, "name yours with --config FILE; docs/edge.toml is a sample")]
    try:
        settings = load(config, places=True)
    except ConfigurationError as error:
        advice = "mend it and check again: docs/edge.md tells each key"
        return None, [fail("configuration", line, advice) for line in str(error).splitlines()]
    secrets = check_secrets(config)
    cameras = f"{len(settings.cameras)} camera{'s' if len(settings.cameras) > 1 else ''}"
    said = f"{config}: box {settings.box.id} of {settings.box.venue}, {cameras}"
    return settings, [ok("configuration", said), *secrets, *_scenes(settings.cameras), *_floors(settings.cameras)]


def _scenes(cameras: Sequence[CameraSettings]) -> Iterator[Finding]:
    """Which cameras count a person once together, and what floor they have in common."""
    for scene in dict.fromkeys(camera.scene_id for camera in cameras):
        together = [camera for camera in cameras if camera.scene_id == scene]
        shares = [f"{one.id} and {other.id} {shared_m2(one, other):.0f} m²" for one, other in combinations(together, 2)]
        if shares:
            yield ok(
                f"scene {scene}", f"whom several of its cameras see counts once; floor in common: {', '.join(shares)}"
            )


def _floors(cameras: Sequence[CameraSettings]) -> Iterator[Finding]:
    """Calibrations that are possible, and unlikely to be meant."""
    for camera in cameras:
        if camera.calibration is None or camera.image_size is None:
            continue
        floor = floor_of(camera, camera.image_size, box="any")
        if floor.is_mirrored:
            said = "the camera sees a mirror image of its plan, so `in` and `out` of its lines are the wrong way round"
            advice = "on the plan x runs right and y up: give floor_points so, unless the camera mirrors its picture"
            yield warn(f"calibration {camera.id}", said, advice)
        if floor.perspective() is None:
            said = "its points do not say where the camera hangs, so it follows people in the picture, not on the floor"
            advice = "it should hang more than 2 m above the floor, and floor_points be metres: docs/edge.md"
            yield warn(f"calibration {camera.id}", said, advice)


def _detector(settings: Settings | None, *, environment: Mapping[str, str]) -> Iterator[Finding]:
    """What runs models, and the model; the latter only where the former can."""
    wanted = DetectorSettings() if settings is None else settings.detector
    runtime = check_runtime(wanted.providers)
    yield runtime
    if runtime.verdict is Verdict.FAIL:
        return
    from edge.check.model import check_installed_models, check_model

    if settings is None:
        yield check_installed_models(environment=environment)
    else:
        yield from check_model(wanted, settings.cameras, environment=environment)
