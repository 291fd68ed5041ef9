"""A camera's password, hunted for in everything that a running box says, shows, keeps or sends."""

import json
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import psutil
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port
from tests.support.processes import Command, footfall, until

pytestmark = [pytest.mark.acceptance, pytest.mark.needs_mosquitto, pytest.mark.timeout(300)]

PASSWORD, WRITTEN = "p@ss/w:rd-4711", "p%40ss%2Fw%3Ard-4711"
"""As it is, and as it stands in a url."""
BOX, VENUE = "harbour-box", "harbour-shop"


class Wire:
    """Every message that passes the broker, `down/` too."""

    def __init__(self, broker: Mosquitto) -> None:
        self.heard: list[bytes] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda _c, _u, message: self.heard.append(
            message.topic.encode() + b" " + message.payload
        )
        self._client.on_connect = lambda client, *_: client.subscribe("#")
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()

    def close(self) -> None:
        """Listen no more."""
        self._client.disconnect()
        self._client.loop_stop()


def command_lines(*commands: Command) -> Iterator[str]:
    """What a list of processes shows of these, and of all that they started."""
    for command in commands:
        process = psutil.Process(command.pid)
        for each in (process, *process.children(recursive=True)):
            yield " ".join(each.cmdline())


@pytest.mark.parametrize("given_as", ["environment", "credential"])
def test_a_cameras_password_is_nowhere_to_be_found(tmp_path: Path, mosquitto: Mosquitto, given_as: str) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "DOOR_PASSWORD").write_text(f"{WRITTEN}\n")
    environment = (
        {"DOOR_PASSWORD": WRITTEN} if given_as == "environment" else {"CREDENTIALS_DIRECTORY": str(credentials)}
    )
    exchange, config = tmp_path / "exchange", tmp_path / "edge.toml"
    url = f"rtsp://viewer:${{DOOR_PASSWORD}}@127.0.0.1:{free_port()}/camera"
    config.write_text(
        f'[box]\nid = "{BOX}"\nvenue = "{VENUE}"\nmode = "live"\n[exchange]\nfolder = {json.dumps(str(exchange))}\n'
        f'[clock]\ntrust = "always"\n[broker]\nport = {mosquitto.port}\n'
        f'[[camera]]\nid = "door"\nurl = "{url}"\nopen_seconds = 2\n'
    )
    wire = Wire(mosquitto)
    box = [
        Command(footfall("edge", side, "--config", config), log=tmp_path / f"{side}.log", environment=environment)
        for side in ("vision", "uplink")
    ]
    with box[0] as vision, box[1] as uplink:
        until(lambda: "camera door is offline" in vision.log, seconds=60, what="vision to say that it sees nothing")
        until(lambda: any(b"camera-health" in one for one in wire.heard), seconds=60, what="the cloud to be told so")
        until(lambda: any(b"/up/status" in one for one in wire.heard), seconds=60, what="a birth certificate")
        shown = list(command_lines(vision, uplink))
        checked = Command(
            footfall("edge", "check", "--config", config), log=tmp_path / "check.log", environment=environment
        )
        checked.start()
        checked.wait(120)
    wire.close()
    assert "127.0.0.1" in vision.log, "the address is told, so the url was looked at"
    kept = [path.read_bytes() for path in exchange.iterdir() if path.is_file()]
    said = [vision.log.encode(), uplink.log.encode(), checked.log.encode(), *(line.encode() for line in shown)]
    assert len(shown) >= 2
    assert "door" in checked.log
    for text in (*said, *kept, *wire.heard):
        assert PASSWORD.encode() not in text
        assert WRITTEN.encode() not in text
