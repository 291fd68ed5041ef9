"""The configuration of a box: TOML, with the environment on top, checked as a whole.

Secrets may stand in the environment: FOOTFALL_EDGE_BROKER__PASSWORD, or `${NAME}` inside a camera's url. What is said
about one camera stands in `edge.camera_settings`; `edge.configuration` reads files and words the mistakes.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from edge.camera_settings import (
    CalibrationSettings,
    CameraSettings,
    LensSettings,
    LineSettings,
    Section,
    SyntheticSettings,
    ZoneSettings,
    told,
    whole_section,
)
from edge.clock import Trust
from edge.consistency import twice_named, unlike_in_scene
from protocol.modes import DEFAULT_K, MIN_K, Mode
from protocol.wire import Slug

__all__ = [
    "ENROLMENT_FOLDER",
    "ENVIRONMENT_PREFIX",
    "BoxSettings",
    "BrokerSettings",
    "CalibrationSettings",
    "CameraSettings",
    "ClockSettings",
    "DetectorSettings",
    "EnrolmentSettings",
    "ExchangeSettings",
    "LensSettings",
    "LineSettings",
    "MetricsSettings",
    "Settings",
    "SyntheticSettings",
    "ZoneSettings",
]

ENVIRONMENT_PREFIX = "FOOTFALL_EDGE_"
ENROLMENT_FOLDER = Path("/var/lib/footfall/enrolment")


class BoxSettings(Section):
    """Who this box is, and what it lets out."""

    id: Slug
    venue: Slug
    mode: Annotated[Mode, AfterValidator(told)] = Mode.STATISTICS
    k: Annotated[int, Field(ge=MIN_K, le=1000)] = DEFAULT_K


class ExchangeSettings(Section):
    """Where the exchange lies and how much room it may take."""

    folder: Path = Path("/var/lib/footfall/exchange")
    room_mb: Annotated[int, Field(ge=16, le=1_000_000)] = 2048
    keep_days: Annotated[float, Field(ge=0, le=90)] = 7.0


class ClockSettings(Section):
    """When the system's clock is believed: `ntp` once NTP disciplines it, `always` from the start."""

    trust: Trust = Trust.NTP


def _is_there(path: Path) -> Path:
    """Refuse a file that is not there; one that this process may not look at is uplink's to open."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError("a file that exists") from None
    except OSError:
        return path
    if path.is_dir():
        raise ValueError("a file, not a folder")
    return path


ExistingFile = Annotated[Path, AfterValidator(_is_there)]


class BrokerSettings(Section):
    """The MQTT broker. TLS is used where `ca_file` is given."""

    host: Annotated[str, Field(min_length=1, max_length=253)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    username: str | None = None
    password: SecretStr | None = None
    ca_file: ExistingFile | None = None
    certificate_file: ExistingFile | None = None
    key_file: Annotated[ExistingFile | None, Field(validate_default=True)] = None
    mqtt_version: Literal["auto", "5", "3.1.1"] = "auto"

    @field_validator("key_file")
    @classmethod
    def _complete(cls, key_file: Path | None, info: ValidationInfo) -> Path | None:
        certificate_file = info.data.get("certificate_file")
        if (certificate_file is None) != (key_file is None):
            raise whole_section("certificate_file and key_file together, or neither")
        if certificate_file is not None and info.data.get("ca_file") is None:
            raise whole_section("ca_file too where certificate_file is given")
        return key_file


class EnrolmentSettings(Section):
    """Where `footfall edge enrol` laid down this box's certificate, and where the broker is."""

    folder: Path = ENROLMENT_FOLDER


class DetectorSettings(Section):
    """What finds people: a model's name or file, or `motion`."""

    model: Annotated[str, Field(min_length=1)] = "motion"
    models_folder: Path | None = None
    manifest: Path | None = None
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.1
    low_light: bool = True
    providers: tuple[str, ...] = ("auto",)
    openvino_device: Literal["CPU", "GPU", "NPU"] = "CPU"
    engines_folder: Path | None = None
    threads: Annotated[int, Field(ge=0, le=64)] = 0


class MetricsSettings(Section):
    """Where Prometheus may ask: vision at `port`, uplink at the next one; nowhere while there is none."""

    host: Annotated[str, Field(min_length=1, max_length=253)] = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_534)] | None = None

    @property
    def uplink_port(self) -> int | None:
        """Where uplink answers."""
        return None if self.port is None else self.port + 1


class _Environment(EnvSettingsSource):
    """The environment, whose values may be JSON; one that is not is judged like any other wrong value."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class Settings(BaseSettings):
    """Everything a box needs to know."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    box: BoxSettings
    exchange: ExchangeSettings = ExchangeSettings()
    clock: ClockSettings = ClockSettings()
    broker: BrokerSettings = BrokerSettings()
    enrolment: EnrolmentSettings = EnrolmentSettings()
    detector: DetectorSettings = DetectorSettings()
    metrics: MetricsSettings = MetricsSettings()
    # Named as in the file and without an alias, which would lose the prefix in the environment.
    camera: Annotated[tuple[CameraSettings, ...], Field(min_length=1, max_length=256)]

    @property
    def cameras(self) -> tuple[CameraSettings, ...]:
        """The cameras, in the order in which the file has them."""
        return self.camera

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, whose content comes in as keyword arguments."""
        del env_settings, dotenv_settings, file_secret_settings
        return _Environment(settings_cls), init_settings

    @field_validator("camera")
    @classmethod
    def _ids_differ(cls, cameras: tuple[CameraSettings, ...]) -> tuple[CameraSettings, ...]:
        wrong = [*twice_named([camera.model_dump(by_alias=True) for camera in cameras]), *unlike_in_scene(cameras)]
        if wrong:
            raise ValueError("; ".join(wrong))
        return cameras
