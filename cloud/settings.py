"""What the cloud can be told: one TOML file, and FOOTFALL_CLOUD_… in the environment, which wins.

All mistakes are found at once and named by place, key, what was found and what is allowed.
Knows nothing of the database or the broker beyond their addresses, and never shows a secret.
"""

import base64
import binascii
import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as EnvironmentMistake
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from cloud.access.networks import Network
from cloud.errors import SettingsError
from cloud.ingest.broker import MqttVersion
from cloud.wording import allowed

__all__ = [
    "AccessSettings",
    "AlertSettings",
    "BackupSettings",
    "BrokerSettings",
    "DatabaseSettings",
    "DeviceSettings",
    "ListenSettings",
    "MetricsSettings",
    "Settings",
    "UpkeepSettings",
    "check_target",
    "database_url",
    "load_settings",
    "signing_key",
]

CONFIG_VARIABLE = "FOOTFALL_CLOUD_CONFIG"
PREFIX = "FOOTFALL_CLOUD_"
_UNSHOWN = {"password", "admin_key", "target", "url", "webhook_url", "webhook_secret"}
"""Keys under which somebody may have written a secret."""
DATABASES = ("sqlite", "postgresql+psycopg")


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if (
        parts.scheme not in {"http", "https"}
        or text != f"{parts.scheme}://{parts.netloc}"
        or "@" in text
        or "*" in text
    ):
        raise ValueError("a site such as https://dashboard.example or http://localhost:3000, without a path")
    return text


Port = Annotated[int, Field(ge=1, le=65_535)]
Host = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z.:_-]{1,253}$")]
ClientId = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,64}$")]
# Mosquitto lets anybody join a shared subscription by its name, and what then goes to them is lost to the others.
Group = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{16,64}$")]
Key = Annotated[SecretStr, Field(min_length=24, max_length=200)]
Origin = Annotated[str, AfterValidator(_origin)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSettings(_Section):
    """Where everything is kept."""

    url: SecretStr | None = Field(
        default=None,
        description="`sqlite:///FILE` or `postgresql+psycopg://USER:PASSWORD@HOST/DATABASE`; "
        "the file `footfall.sqlite` in the data folder when left out",
    )

    @model_validator(mode="after")
    def _is_supported(self) -> "DatabaseSettings":
        if self.url is None:
            return self
        try:
            driver = make_url(self.url.get_secret_value()).drivername
        except ArgumentError:
            driver = "something that is no database URL"
        if driver not in DATABASES:
            raise ValueError(f"url: a URL that begins with {' or '.join(f'{name}://' for name in DATABASES)}")
        return self


class BrokerSettings(_Section):
    """The MQTT broker that the boxes speak to."""

    host: Host = Field(default="127.0.0.1", description="name or address of the broker")
    port: Port = Field(default=1883, description="1883 as a rule, 8883 with TLS")
    username: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="left out: none"
    )
    password: SecretStr | None = Field(default=None, description="only together with `username`")
    tls: bool = Field(default=False, description="speak TLS and check the broker's certificate")
    ca_file: Path | None = Field(default=None, description="certificates to trust; the system's own when left out")
    own_authority: bool = Field(
        default=False, description="speak TLS, all certificates being those of this cloud's own authority"
    )
    certificate_file: Path | None = Field(default=None, description="this worker's own certificate, where asked for")
    key_file: Path | None = Field(default=None, description="the private key of `certificate_file`")
    mqtt_version: MqttVersion = Field(
        default=MqttVersion.V311, description="`3.1.1` works everywhere; `5` lets the broker send more at a time"
    )
    client_id: ClientId = Field(
        default="footfall-cloud", description="one for each worker, and the same after a restart"
    )
    shared_group: Group | None = Field(
        default=None,
        description="name of a shared subscription, where several workers share the boxes; "
        "16 characters or more that no box can guess",
    )
    public_host: Host | None = Field(
        default=None, description="the broker's name or address for boxes; `host` when left out"
    )
    public_port: Port = Field(default=8883, description="the broker's port for boxes, who speak TLS")

    @model_validator(mode="after")
    def _belongs_together(self) -> "BrokerSettings":
        if self.password is not None and self.username is None:
            raise ValueError("password: only together with `username`")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file: only together with `key_file`")
        if self.own_authority and (self.tls or self.ca_file or self.certificate_file or self.username):
            raise ValueError("own_authority: without `tls`, `ca_file`, `certificate_file` and `username`")
        for name in ("ca_file", "certificate_file", "key_file"):
            path: Path | None = getattr(self, name)
            if path is not None and not self.tls:
                raise ValueError(f"{name}: only together with `tls = true`")
            if path is not None and not path.is_file():
                raise ValueError(f"{name}: a file that exists; there is none at {path}")
        return self


class ListenSettings(_Section):
    """Where the API listens."""

    host: Host = Field(default="127.0.0.1", description="address to listen at; `0.0.0.0` lets the whole network in")
    port: Port = Field(default=8080, description="port to listen at")
    certificate_file: Path | None = Field(
        default=None, description="PEM of a certificate and its key, with which the API speaks TLS itself"
    )
    connections: Annotated[int, Field(ge=10, le=100_000)] = Field(
        default=700, description="the most connections at once, at most three quarters of the files that may be open"
    )
    connections_per_address: Annotated[int, Field(ge=5, le=100_000)] = Field(
        default=100, description="of them, those of one address (of IPv6: of one /64) that is no trusted proxy"
    )


class DeviceSettings(_Section):
    """What boxes are given when they enrol."""

    certificate_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=365, description="how long a box's certificate is good; it is renewed when a third of that is left"
    )


class MetricsSettings(_Section):
    """Where `footfall cloud ingest` answers Prometheus; `serve` does so beside the API."""

    host: Host = Field(default="127.0.0.1", description="address to answer at")
    port: Port | None = Field(default=None, description="port to answer at; left out, it does not")


class AccessSettings(_Section):
    """Who may come in from where, how often they may ask, and how long they stay signed in."""

    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=100, description="the most requests a minute of one key, or of one user"
    )
    reports_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=10, description="of them, those for heavy reports: CSV exports, whole heat maps, comparisons"
    )
    sign_ins_per_minute: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=10, description="the most attempts a minute from one address, and for one user"
    )
    session_idle_minutes: Annotated[float, Field(ge=1, le=525_600)] = Field(
        default=720.0, description="a session that is not used for so long ends"
    )
    session_days: Annotated[float, Field(gt=0, le=366)] = Field(
        default=14.0, description="a session ends after so long, however much it is used"
    )
    networks: tuple[Network, ...] = Field(
        default=(), description="networks from which anything may be asked at all; from everywhere when left out"
    )
    trusted_proxies: tuple[Network, ...] = Field(
        default=(), description="proxies whose X-Forwarded-For and X-Forwarded-Proto are believed"
    )
    cors_origins: tuple[Origin, ...] = Field(
        default=(), description="other sites whose pages may use the API, with a key and never with cookies"
    )


class AlertSettings(_Section):
    """When an alert is raised, and which webhook is told."""

    box_silent_minutes: Annotated[float, Field(ge=1, le=1440)] = Field(
        default=5.0, description="a box that says nothing for so long is offline"
    )
    webhook_url: SecretStr | None = Field(default=None, description="`https://…` or `http://…`; nobody is told without")
    webhook_secret: SecretStr | None = Field(
        default=None, description="signs each message: base64 of 24 to 64 bytes, with or without `whsec_` before it"
    )
    webhook_private: bool = Field(
        default=False, description="let the webhook lie on this machine or in a private network"
    )
    webhook_ca_file: Path | None = Field(
        default=None, description="certificates to trust; the system's own when left out"
    )

    @model_validator(mode="after")
    def _belongs_together(self) -> "AlertSettings":
        if (self.webhook_url is None) != (self.webhook_secret is None):
            raise ValueError("webhook_secret: together with `webhook_url`, or neither")
        if self.webhook_url is not None and not _is_web_address(self.webhook_url.get_secret_value()):
            raise ValueError("webhook_url: an address that begins with http:// or https://, without user or fragment")
        if self.webhook_secret is not None and not 24 <= len(signing_key(self.webhook_secret)) <= 64:
            raise ValueError("webhook_secret: base64 of 24 to 64 random bytes, as `openssl rand -base64 32` makes it")
        if self.webhook_ca_file is not None and not self.webhook_ca_file.is_file():
            raise ValueError(f"webhook_ca_file: a file that exists; there is none at {self.webhook_ca_file}")
        return self


class UpkeepSettings(_Section):
    """What the database is relieved of, and when."""

    hour: Annotated[int, Field(ge=0, le=23)] = Field(default=2, description="the hour of the day, in UTC, to begin at")
    retention_months: Annotated[int, Field(ge=1, le=1200)] = Field(
        default=13,
        description="how long raw events are kept, unless a venue says otherwise; sums are kept for ever",
    )


class BackupSettings(_Section):
    """Where back-ups lie, and how many."""

    target: str | None = Field(default=None, description="`file:///FOLDER` or `s3://BUCKET/PREFIX`")
    keep: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=4, description="how many full back-ups are kept, with those that build upon them"
    )
    full_every_days: Annotated[float, Field(ge=0, le=366)] = Field(
        default=7.0, description="a full back-up is made once the last one is so old; those between build upon it"
    )

    @model_validator(mode="after")
    def _is_supported(self) -> "BackupSettings":
        if self.target is not None:
            try:
                check_target(self.target)
            except ValueError as error:
                raise ValueError(f"target: {error}") from None
        return self


def check_target(url: str) -> str:
    """The address of a back-up's target; raises ValueError that says what is allowed. It never holds a secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    is_folder = parts.scheme == "file" and not parts.netloc and len(parts.path) > 1
    is_bucket = parts.scheme == "s3" and bool(parts.netloc) and not {"@", ":"} & set(parts.netloc)
    if not (is_folder or is_bucket) or parts.query or parts.fragment:
        raise ValueError("file:///FOLDER with three slashes, or s3://BUCKET/PREFIX without a user")
    return url.rstrip("/")


def signing_key(secret: SecretStr) -> bytes:
    """The bytes of a webhook's secret; none where it is not base64."""
    try:
        return base64.b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_plain = parts.port != 0 and parts.username is None and parts.password is None and not parts.fragment
    except ValueError:
        return False
    return (
        parts.scheme in {"http", "https"} and bool(parts.hostname) and is_plain and url.isascii() and url.isprintable()
    )


def _default_data_dir() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "footfall" / "cloud"


class Settings(BaseSettings):
    """Everything the cloud can be told."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter="__",
    )

    data_dir: Path = Field(
        default_factory=_default_data_dir, description="folder for the SQLite database and the made admin key"
    )
    admin_key: Key | None = Field(
        default=None,
        description="the key of the machine's owner, 24 characters or more; made at the first start when left out",
    )
    database: DatabaseSettings = DatabaseSettings()
    broker: BrokerSettings = BrokerSettings()
    listen: ListenSettings = ListenSettings()
    access: AccessSettings = AccessSettings()
    metrics: MetricsSettings = MetricsSettings()
    devices: DeviceSettings = DeviceSettings()
    alerts: AlertSettings = AlertSettings()
    upkeep: UpkeepSettings = UpkeepSettings()
    backup: BackupSettings = BackupSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def load_settings(path: Path | None) -> Settings:
    """The settings of a file and of the environment; raises SettingsError that names every mistake."""
    path = path or (Path(os.environ[CONFIG_VARIABLE]) if os.environ.get(CONFIG_VARIABLE) else None)
    values = _read_file(path) if path else {}
    mistakes = list(_unknown_variables(os.environ))
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        mistakes += [_describe(detail, path=path, environ=os.environ) for detail in _in_known_settings(error)]
    except EnvironmentMistake as error:
        mistakes.append(f"environment: {error}")
    if mistakes:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        raise SettingsError("\n  ".join([f"{count} in the settings:", *mistakes]))
    return settings


def database_url(settings: Settings) -> str:
    """The database's URL, with its password; for opening it, never for showing."""
    if settings.database.url is not None:
        return settings.database.url.get_secret_value()
    return f"sqlite:///{settings.data_dir.expanduser().resolve() / 'footfall.sqlite'}"


def _read_file(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: the settings file cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: the settings file is not TOML: {error}") from error


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    known = {CONFIG_VARIABLE, *_variables()}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            yield f"environment: {name}: no such setting{_suggestion(name, sorted(known))}"


def _in_known_settings(error: ValidationError) -> Iterator[ErrorDetails]:
    """The mistakes but for those of unknown variables, which are found by their names."""
    for detail in error.errors(include_url=False):
        if detail["type"] != "extra_forbidden" or _variable([str(part) for part in detail["loc"]]) not in os.environ:
            yield detail


def _variable(keys: list[str]) -> str:
    return PREFIX + "__".join(keys).upper()


def _variables() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        yield f"{PREFIX}{name}".upper()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{PREFIX}{name}__{key}".upper() for key in field.annotation.model_fields)


def _describe(detail: ErrorDetails, *, path: Path | None, environ: Mapping[str, str]) -> str:
    keys = [str(part) for part in detail["loc"]]
    message = allowed(detail["type"], detail.get("ctx", {}), message=detail["msg"], is_text=keys[-1:] == ["admin_key"])
    if detail["type"] == "value_error" and ": " in message:
        key, message = message.split(": ", 1)
        keys.append(key)
    variable = _variable(keys)
    place = f"environment: {variable}" if variable in environ else f"{path or 'settings'}: {'.'.join(keys)}"
    if detail["type"] == "extra_forbidden":
        return f"{place}: no such setting{_suggestion(keys[-1], _siblings(keys))}"
    return f"{place}: found {_found(detail['input'], keys)}; allowed: {message}"


def _found(value: object, keys: list[str]) -> str:
    if keys[-1] in {"password", "admin_key", "target", "url", "webhook_url", "webhook_secret"} or isinstance(
        value, SecretStr
    ):
        return "a value that is not shown"
    if isinstance(value, dict | BaseModel):
        return "that"
    return repr(value)[:100]


def _siblings(keys: list[str]) -> list[str]:
    field = Settings.model_fields.get(keys[0]) if len(keys) > 1 else None
    section = field.annotation if field else Settings
    return list(section.model_fields) if isinstance(section, type) and issubclass(section, BaseModel) else []


def _suggestion(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"
