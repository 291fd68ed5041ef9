"""A camera's password, hunted for in everything that a running box says, shows, keeps or sends."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import paho.mqtt.client as mqtt
import psutil
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port
from tests.support.processes import Command, footfall, until
from tests.support.rtsp_server import BabblingServer

pytestmark = [pytest.mark.acceptance, pytest.mark.needs_mosquitto, pytest.mark.timeout(300)]

PASSWORD, WRITTEN = "p@ss/w:rd-4711", "p%40ss%2Fw%3Ard-4711"
"""As it is, and as it stands in a url."""
BOX, VENUE = "harbour-box", "harbour-shop"
FORMS = {
    "login": "rtsp://viewer:${DOOR_PASSWORD}@127.0.0.1:PORT/camera",
    "query": "rtsp://127.0.0.1:PORT/?usr=admin&psw=${DOOR_PASSWORD}",
    "path": "rtsp://127.0.0.1:PORT/live/${DOOR_PASSWORD}/ch0",
}
"""Where cameras take their passwords."""
REFUSAL = b'RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\nWWW-Authenticate: Basic realm="camera"\r\n\r\n'


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


def say(*words: str | Path, environment: dict[str, str]) -> bytes:
    """All that a command prints, however it ends."""
    ended = subprocess.run(
        footfall(*words), env={**os.environ, **environment}, capture_output=True, timeout=120, check=False
    )
    return ended.stdout + ended.stderr


@pytest.mark.parametrize("given_as", ["environment", "credential"])
def test_a_cameras_password_is_nowhere_to_be_found(tmp_path: Path, mosquitto: Mosquitto, given_as: str) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "DOOR_PASSWORD").write_text(f"{WRITTEN}\n")
    environment = (
        {"DOOR_PASSWORD": WRITTEN} if given_as == "environment" else {"CREDENTIALS_DIRECTORY": str(credentials)}
    )
    exchange, config, metrics = tmp_path / "exchange", tmp_path / "edge.toml", free_port()
    wire = Wire(mosquitto)
    with BabblingServer(REFUSAL * 4) as refusing:
        places = {"gone": free_port(), "refused": int(refusing.url.rpartition(":")[2].partition("/")[0])}
        cameras = {
            f"{form}-{kind}": url.replace("PORT", str(port))
            for form, url in FORMS.items()
            for kind, port in places.items()
        }
        config.write_text(
            f'[box]\nid = "{BOX}"\nvenue = "{VENUE}"\nmode = "live"\n[exchange]\nfolder = {json.dumps(str(exchange))}\n'
            f'[clock]\ntrust = "always"\n[broker]\nport = {mosquitto.port}\n[metrics]\nport = {metrics}\n'
            + "".join(f'[[camera]]\nid = "{name}"\nurl = "{url}"\nopen_seconds = 2\n' for name, url in cameras.items())
        )
        # Uplink opens no camera, and so it is given no camera's password.
        box = [
            Command(footfall("edge", side, "--config", config), log=tmp_path / f"{side}.log", environment=given)
            for side, given in (("vision", environment), ("uplink", {}))
        ]
        with box[0] as vision, box[1] as uplink:
            for name in cameras:
                offline = f"camera {name} is offline"
                until(lambda told=offline: told in vision.log, seconds=60, what=offline)  # type: ignore[misc]
            until(lambda: any(b"camera-health" in one for one in wire.heard), seconds=60, what="the cloud to be told")
            until(lambda: any(b"/up/status" in one for one in wire.heard), seconds=60, what="a birth certificate")
            shown = list(command_lines(vision, uplink))
            scraped = [httpx.get(f"http://127.0.0.1:{metrics + side}/metrics").content for side in (0, 1)]
            of_uplink = Path(f"/proc/{uplink.pid}/environ").read_bytes()
            said = [say("edge", "check", "--config", config, environment=environment)]
            said += [say("edge", "camera", "test", "path-refused", "--config", config, environment=environment)]
            said += [say("edge", "camera", "test", cameras["query-gone"], environment=environment)]
            said += [say("edge", "bench", "--duration", "1", "--config", config, environment=environment)]
    wire.close()
    assert "wrong-password" in vision.log, "one camera did answer"
    assert vision.log.count("127.0.0.1") >= len(cameras), "the addresses are told, so the urls were looked at"
    assert f"127.0.0.1:{places['refused']}: wrong-password".encode() in said[1]
    assert f"127.0.0.1:{places['gone']}: unreachable".encode() in said[2]
    assert b"measured" in said[3] or b"camera" in said[3]
    assert len(shown) >= 2
    kept = [path.read_bytes() for path in exchange.iterdir() if path.is_file()]
    logs = [vision.log.encode(), uplink.log.encode()]
    for text in (*logs, *said, *scraped, of_uplink, *(line.encode() for line in shown), *kept, *wire.heard):
        assert PASSWORD.encode() not in text
        assert WRITTEN.encode() not in text
