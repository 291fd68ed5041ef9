from pathlib import Path

import pytest

from cloud.errors import SettingsError
from cloud.settings import Settings, database_url, load_settings
from tests.support.webhook_receiver import SECRET

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("FOOTFALL_CLOUD_")]:
        monkeypatch.delenv(name)


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cloud.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_settings_everything_stays_on_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    settings = load_settings(None)
    assert (settings.listen.host, settings.listen.port) == ("127.0.0.1", 8080)
    assert (settings.broker.host, settings.broker.port, settings.broker.tls) == ("127.0.0.1", 1883, False)
    assert database_url(settings) == f"sqlite:///{tmp_path}/footfall/cloud/footfall.sqlite"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(tmp_path, '[broker]\nhost = "from-file"\nport = 1884\n[listen]\nport = 9000\n')
    monkeypatch.setenv("FOOTFALL_CLOUD_BROKER__HOST", "from-environment")
    monkeypatch.setenv("FOOTFALL_CLOUD_CONFIG", str(path))
    settings = load_settings(None)
    assert (settings.broker.host, settings.broker.port, settings.listen.port) == ("from-environment", 1884, 9000)


def test_all_mistakes_are_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
        admin_key = "too short"
        colour = "red"
        [database]
        url = "mysql://root:hunter2@db/footfall"
        [broker]
        prot = 1883
        port = 99999
        host = "two words"
        password = "hunter2"
        [listen]
        port = "http"
    """
    path = _file(tmp_path, text)
    monkeypatch.setenv("FOOTFALL_CLOUD_LISTEN__HOST", "no host!")
    monkeypatch.setenv("FOOTFALL_CLOUD_BROKER__PASWORD", "x")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    said = str(caught.value)
    assert said.splitlines()[0] == "9 mistakes in the settings:"
    for line in (
        "environment: FOOTFALL_CLOUD_BROKER__PASWORD: no such setting; did you mean FOOTFALL_CLOUD_BROKER__PASSWORD?",
        "environment: FOOTFALL_CLOUD_LISTEN__HOST: found 'no host!'; allowed: a name or an address of up to 253 ",
        f"{path}: admin_key: found a value that is not shown; allowed: at least 24 characters",
        f"{path}: colour: no such setting",
        f"{path}: database.url: found a value that is not shown; allowed: a URL that begins with sqlite:// or ",
        f"{path}: broker.prot: no such setting; did you mean port?",
        f"{path}: broker.port: found 99999; allowed: 65535 or less",
        f"{path}: broker.host: found 'two words'; allowed: a name or an address",
        f"{path}: listen.port: found 'http'; allowed: a whole number",
    ):
        assert line in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param('[broker]\npassword = "hunter2"', "broker.password", id="password without a name"),
        pytest.param('[broker]\nca_file = "ca.pem"', "broker.ca_file", id="certificate without TLS"),
        pytest.param('[broker]\ntls = true\nca_file = "/no/ca.pem"', "there is none at /no/ca.pem", id="no such file"),
        pytest.param('[broker]\ncertificate_file = "c.pem"', "only together with `key_file`", id="half a pair"),
        pytest.param(
            '[broker]\nmqtt_version = "4"', "broker.mqtt_version: found '4'; allowed: '3.1.1' or '5'", id="MQTT 4"
        ),
        pytest.param('[alerts]\nwebhook_url = "https://h.example/hunter2"', "alerts.webhook_secret", id="no secret"),
        pytest.param(f'[alerts]\nwebhook_secret = "{SECRET}"', "together with `webhook_url`", id="only a secret"),
        *(
            pytest.param(
                f'[alerts]\nwebhook_url = "{url}"\nwebhook_secret = "{SECRET}"', "alerts.webhook_url", id=f"url {url}"
            )
            for url in (
                "ftp://h/hunter2",
                "h.example/hunter2",
                "https://",
                "https://u:hunter2@h/",
                "http://h:0/",
                "http://h/#x",
            )
        ),
        *(
            pytest.param(
                f'[alerts]\nwebhook_url = "http://h/"\nwebhook_secret = "{secret}"', "alerts.webhook_secret", id=name
            )
            for name, secret in (("a short secret", "aHVudGVyMg=="), ("no base64", "hunter2-" * 5), ("empty", ""))
        ),
        pytest.param("[alerts]\nbox_silent_minutes = 0", "alerts.box_silent_minutes: found 0", id="no patience"),
        pytest.param('database = "sqlite"', "database: found 'sqlite'", id="a word for a table"),
        pytest.param("[broker\n", "is not TOML", id="no TOML"),
    ],
)
def test_a_mistake_says_where_and_what_is_allowed(tmp_path: Path, text: str, says: str) -> None:
    path = _file(tmp_path, text)
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: the settings file cannot be read: No such file"):
        load_settings(tmp_path / "none.toml")


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        'admin_key = "hunter2-hunter2-hunter2-hunter2"\n[database]\nurl = "postgresql+psycopg://u:hunter2@h/d"',
    )
    settings = load_settings(path)
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert database_url(settings) == "postgresql+psycopg://u:hunter2@h/d"


def test_the_sample_file_loads_and_shows_every_setting(tmp_path: Path) -> None:
    sample = (DOCS / "cloud.toml").read_text(encoding="utf-8")
    load_settings(DOCS / "cloud.toml")
    # with every line that is commented out put in, it still names only settings that there are
    everything = "\n".join(line.removeprefix("#: ") for line in sample.splitlines())
    for name in ("ca.pem", "cloud.pem", "cloud.key"):
        (tmp_path / name).touch()
    load_settings(_file(tmp_path, everything.replace("/etc/footfall", str(tmp_path))))
    for section, keys in _settings().items():
        for key in keys:
            assert f"{key} = " in everything, f"{section}.{key}"


def test_the_reference_names_every_setting_with_its_variable_and_default() -> None:
    reference = (DOCS / "cloud.md").read_text(encoding="utf-8")
    for section, keys in _settings().items():
        for key in keys:
            variable = f"FOOTFALL_CLOUD_{section}__{key}" if section else f"FOOTFALL_CLOUD_{key}"
            rows = [line for line in reference.splitlines() if f"`{variable.upper()}`" in line]
            assert len(rows) == 1, variable.upper()
            default = _default(section, key)
            if default not in {None, ""}:
                assert f"`{default}`" in rows[0], rows[0]


def _settings() -> dict[str, list[str]]:
    sections = {"": ["data_dir", "admin_key"]}
    for name, field in Settings.model_fields.items():
        if name not in sections[""]:
            assert field.annotation is not None
            sections[name] = list(field.annotation.model_fields)
    return sections


def _default(section: str, key: str) -> str | None:
    holder = Settings.model_fields[section].default if section else None
    value = getattr(holder, key) if holder is not None else None
    return None if value in {None, ()} else str(value).lower() if isinstance(value, bool) else str(value)
