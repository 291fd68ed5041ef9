"""A longer look at one camera, in words: what it sends, how steadily, how late, and what is lost on the way."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from edge.camera.frames import Image
from edge.camera.masks import IgnoreMasks
from edge.camera.trial import Lateness, Trial
from edge.check.decoders import CODECS
from edge.check.still import coarse
from edge.configuration import load
from edge.errors import ConfigurationError
from edge.settings import CameraSettings
from edge.wording import allowed

__all__ = ["chosen_camera", "described", "still_of"]

_BLIND = "how old a picture is when it leaves the camera cannot be told from here"


def chosen_camera(name: str, config: Path) -> CameraSettings:
    """The camera that a url, a device, a file or a name in the configuration means; raises ConfigurationError."""
    if "://" in name:
        return _ad_hoc(url=name)
    if name.startswith("/dev/"):
        return _ad_hoc(device=name)
    if "/" in name or Path(name).is_file():
        return _ad_hoc(file=Path(name))
    cameras = {camera.id: camera for camera in load(config, places=True).cameras}
    if name not in cameras:
        raise ConfigurationError(f"{config}: there is no camera {name!r}; there are {', '.join(cameras)}")
    return cameras[name]


def described(camera: CameraSettings, trial: Trial) -> Iterator[tuple[str, str]]:
    """Each thing that was measured, by its name."""
    yield "camera", f"{camera.id}, {_address(camera)}"
    if trial.size is not None:
        yield "resolution", f"{trial.size[0]}×{trial.size[1]}"
    yield "codec", CODECS.get(trial.codec, trial.codec) or "none: drawn here"
    rate = trial.steadiness.rate
    if rate is not None:
        yield "rate", f"{rate:.1f} pictures/s, of which {min(rate, camera.rate):.1f} are analysed"
    yield "opening", f"the first picture came after {trial.opening_seconds:.1f} s"
    if camera.url is not None or camera.device is not None:
        yield "delay", f"{_delay(trial.steadiness.lateness)}; {_BLIND}"
    missing = trial.steadiness.missing
    yield "lost", f"{missing} missing by the stream's own times, {trial.damaged} damaged, of {trial.pictures + missing}"


def still_of(camera: CameraSettings, image: Image) -> Image:
    """The last picture, masked as the configuration says and made coarse."""
    size = camera.image_size or (image.shape[1], image.shape[0])
    return coarse(IgnoreMasks(camera.masks, reference_size=size).apply(image))


def _ad_hoc(**source: str | Path) -> CameraSettings:
    try:
        camera = CameraSettings.model_validate({"id": "camera", **source})
        _ = camera.address
    except ValidationError as error:
        # Told without what was given, which may hold a password.
        raise ConfigurationError(
            "; ".join(f"the camera: allowed is {allowed(each)}" for each in error.errors())
        ) from None
    except ValueError as error:
        raise ConfigurationError(f"the camera: allowed is {error}") from None
    return camera


def _address(camera: CameraSettings) -> str:
    if camera.address is not None:
        return camera.address.place
    if camera.synthetic is not None:
        return "a made-up shop floor"
    return str(camera.device or camera.file)


def _delay(lateness: Lateness | None) -> str:
    if lateness is None:
        return "the stream says no times to measure it by"
    usual, worst = lateness.usual * 1000, lateness.worst * 1000
    return f"behind the promptest picture: usually {usual:.0f} ms, at most {worst:.0f} ms"
