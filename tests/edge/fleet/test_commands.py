import pytest

from footfall import main
from tests.support.ports import free_port


@pytest.mark.parametrize(
    ("words", "key", "code", "said"),
    [
        pytest.param(
            ["--cloud", "http://127.0.0.1:9"], "", 2, "--cloud needs a key that may make venues and boxes", id="no key"
        ),
        pytest.param(["--cloud", "http://127.0.0.1:{port}"], "key", 1, "cannot be asked", id="no cloud"),
        pytest.param(["--cloud", "http://a:b"], "key", 2, "--cloud: found 'http://a:b'", id="no address"),
        pytest.param(["--broker", "nowhere"], "", 2, "--broker: found 'nowhere'; allowed is HOST:PORT", id="no port"),
        pytest.param(["--broker", "127.0.0.1:99999"], "", 2, "--broker: found '127.0.0.1:99999'", id="no such port"),
        pytest.param(["--ca-file", "/nonexistent"], "", 2, "--ca-file: /nonexistent is not there", id="no CA"),
        pytest.param(["--folder", "/none"], "", 2, "--folder: nothing can be made in /none", id="no folder"),
        pytest.param(["--cloud", "http://127.0.0.1:9"], "clé", 2, "$FOOTFALL_FLEET_KEY is no key", id="no ASCII"),
        pytest.param(["--speed", "0"], "", 2, "--speed: found 0.0; allowed is a number above 0", id="no speed"),
        pytest.param(["--seconds", "inf"], "", 2, "--seconds: found inf", id="no end"),
    ],
)
def test_what_is_missing_or_wrong_is_said_at_once(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    key: str,
    code: int,
    said: str,
) -> None:
    monkeypatch.setenv("FOOTFALL_FLEET_KEY", key)
    words = [word.format(port=free_port()) for word in words]
    assert main(["fleet", "simulate", *words]) == code
    assert said in capsys.readouterr().err


def test_a_number_out_of_range_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fleet", "simulate", "--boxes", "0"])
    assert "found '0'; allowed is a whole number from 1 to 1000" in capsys.readouterr().err
