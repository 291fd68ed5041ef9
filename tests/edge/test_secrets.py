from pathlib import Path

import pytest

from edge.check.findings import Verdict
from edge.check.secrets import check_secrets
from edge.secrets import secret_named

PASSWORD = "hunter2-of-the-door"


def test_the_environment_comes_first_and_a_credential_after_it(tmp_path: Path) -> None:
    (tmp_path / "DOOR").write_text(f"{PASSWORD}\n")
    given = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert secret_named("DOOR", environment=given) == PASSWORD
    assert secret_named("DOOR", environment={**given, "DOOR": "another"}) == "another"
    assert secret_named("SHOP", environment=given) is None
    assert secret_named("DOOR", environment={}) is None


@pytest.mark.parametrize(
    ("config", "mode", "passwords", "warned"),
    [
        pytest.param('url = "rtsp://viewer:${DOOR}@192.0.2.10/a"', 0o644, 0o600, [], id="as it should be"),
        pytest.param('url = "rtsp://192.0.2.10:554/a"', 0o644, 0o600, [], id="no password at all"),
        pytest.param(f'url = "rtsp://viewer:{PASSWORD}@192.0.2.10/a"', 0o640, 0o600, [], id="kept from others"),
        pytest.param(f'url = "rtsp://viewer:{PASSWORD}@192.0.2.10/a"', 0o644, 0o600, ["edge.toml"], id="in the url"),
        pytest.param(f'[broker]\npassword = "{PASSWORD}"', 0o644, 0o600, ["edge.toml"], id="the broker's"),
        pytest.param(
            f'broker = {{ host = "x", password = "{PASSWORD}" }}', 0o644, 0o600, ["edge.toml"], id="in an inline table"
        ),
        pytest.param(
            f'[[a]]\nb = [{{ "password" = "{PASSWORD}" }}]', 0o644, 0o600, ["edge.toml"], id="in a list, in quotes"
        ),
        pytest.param(
            f"url = 'rtsp://a:\"{PASSWORD}@192.0.2.10/'", 0o644, 0o600, ["edge.toml"], id="with a quote in it"
        ),
        pytest.param(f'url = "rtsp://192.0.2.10/?psw={PASSWORD}"', 0o644, 0o600, ["edge.toml"], id="in the query"),
        pytest.param(f'# url = "rtsp://a:{PASSWORD}@192.0.2.10/"', 0o644, 0o600, ["edge.toml"], id="in a comment"),
        pytest.param('# password = "…"', 0o644, 0o600, [], id="a comment that says where one may stand"),
        pytest.param('url = "rtsp://viewer:${DOOR}@192.0.2.10/a"', 0o644, 0o640, ["edge.env"], id="group reads"),
        pytest.param(f'password = "{PASSWORD}"', 0o644, 0o644, ["edge.env", "edge.toml"], id="everything open"),
    ],
)
def test_a_file_of_passwords_that_others_may_read_is_a_warning_with_what_to_do(
    tmp_path: Path, config: str, mode: int, passwords: int, warned: list[str]
) -> None:
    toml, env = tmp_path / "edge.toml", tmp_path / "edge.env"
    toml.write_text(config)
    toml.chmod(mode)
    env.write_text(f'DOOR="{PASSWORD}"')
    env.chmod(passwords)
    found = list(check_secrets(toml))
    assert [
        next(name for name in ("edge.env", "edge.toml") if f"in {tmp_path}/{name}" in one.said) for one in found
    ] == warned
    assert all(one.verdict is Verdict.WARN and "chmod 6" in one.advice for one in found)
    assert PASSWORD not in str(found)


def test_the_cameras_own_file_of_passwords_is_looked_at_too(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text("")
    (tmp_path / "cameras.env").write_text(f'DOOR="{PASSWORD}"')
    (tmp_path / "cameras.env").chmod(0o604)
    (found,) = check_secrets(tmp_path / "edge.toml")
    assert f"the passwords in {tmp_path}/cameras.env" in found.said
