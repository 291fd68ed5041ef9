"""From no broker to an enrolled box that delivers, and out again, with every command as an operator types it."""

import json
import os
import pwd
import re
import shlex
import shutil
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from cloud.devices.mosquitto import CONFIGURATION_FILE
from tests.support.debian import mosquitto_program
from tests.support.ports import free_port, is_listening
from tests.support.processes import Command, footfall, until

pytestmark = [pytest.mark.acceptance, pytest.mark.needs_mosquitto, pytest.mark.timeout(600)]

PAGE = Path(__file__).parents[2] / "docs" / "devices.md"
VENUE, BOX = "harbour-shop", "harbour-box"
ADMIN_KEY = "an-admin-key-for-tests-only-0123456789"
EFFECTIVE_SECONDS = 60.0
"""Within which a revocation must be felt."""


class Site:
    """A cloud, a broker beside it and a box, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.broker_port, self.api_port = free_port(), free_port()
        self.broker, self.enrolment = folder / "broker", folder / "enrolment"
        self.exchange = folder / "exchange"
        self.page = self.here(PAGE.read_text(encoding="utf-8"))
        self.environment = {
            "FOOTFALL_CLOUD_DATA_DIR": str(folder / "cloud"),
            "FOOTFALL_CLOUD_CONFIG": str(folder / "cloud.toml"),
            "FOOTFALL_CLOUD_ADMIN_KEY": ADMIN_KEY,
            "FOOTFALL_CLOUD_BROKER__PUBLIC_PORT": str(self.broker_port),
        }
        (folder / "cloud").mkdir()
        (folder / "cloud.toml").write_text(self.block("[broker]\nhost"))
        self.url = f"https://127.0.0.1:{self.api_port}"
        self.settings = folder / "edge.toml"
        self.settings.write_text(
            f'[box]\nid = "{BOX}"\nvenue = "{VENUE}"\n[exchange]\nfolder = "{self.exchange}"\n'
            f'[enrolment]\nfolder = "{self.enrolment}"\n[clock]\ntrust = "always"\n'
            '[[camera]]\nid = "door"\nsynthetic = {}\n'
        )

    def here(self, text: str) -> str:
        """What the page says, for this machine: cloud and broker by its own address, at free ports, in this folder."""
        for there, here in (
            ("/var/lib/footfall", str(self.folder)),
            ("cloud.example", "127.0.0.1"),
            ("mqtt.example", "127.0.0.1"),
            ("192.168.20.5", "localhost"),
            ("8443", str(self.api_port)),
            ("8883", str(self.broker_port)),
        ):
            text = text.replace(there, here)
        return text

    def block(self, beginning: str) -> str:
        """A block of the page, without its indent."""
        blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", self.page, re.MULTILINE)
        return next(found for each in blocks if (found := textwrap.dedent(each).strip() + "\n").startswith(beginning))

    def told(self, beginning: str) -> list[str]:
        """The words of a command that the page shows, from a word on."""
        line = next(line for line in self.page.splitlines() if line.startswith("    $ ") and beginning in line)
        return ["cloud", *shlex.split(line[line.index(beginning) :])]

    def say(self, *words: str | Path) -> str:
        """Run a command that must succeed; what it printed."""
        ended = self.try_to(*words)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def try_to(self, *words: str | Path, standard_input: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command; how it ended."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(
            footfall(*words), env=environment, input=standard_input, capture_output=True, text=True, check=False
        )

    def process(self, *words: str | Path) -> Command:
        """A command that goes on; what it says is kept in a file of its second word."""
        return Command(footfall(*words), log=self.folder / f"{words[1]}.log", environment=self.environment)

    def mosquitto(self) -> Command:
        """Debian's broker with Debian's own settings, and ours beside them."""
        program = mosquitto_program()
        assert program is not None
        run = self.folder / "run"
        run.mkdir()
        give(run)
        lines = [f"pid_file {run}/mosquitto.pid", "persistence true", f"persistence_location {run}/"]
        lines += ["log_dest stderr", "log_type all", f"include_dir {self.folder}/conf.d"]
        (self.folder / "conf.d").mkdir()
        (self.folder / "conf.d" / "footfall.conf").symlink_to(self.broker / CONFIGURATION_FILE)
        (self.folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        return Command([program, "-c", self.folder / "mosquitto.conf"], log=self.folder / "mosquitto.log")

    def fill(self, items: int, seed: int) -> None:
        """Let a stand-in for vision append items."""
        words = ["-m", "tests.support.appender", str(self.exchange), str(items), str(seed), VENUE]
        subprocess.run([sys.executable, *words], check=True)

    def waiting(self) -> int:
        """Items of the box that the cloud has not settled."""
        with closing(sqlite3.connect(f"file:{self.exchange}/exchange.sqlite?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM item WHERE state < 2").fetchone()[0])

    def taken(self) -> int:
        """Items that the cloud has."""
        with closing(sqlite3.connect(f"file:{self.folder}/cloud/footfall.sqlite?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT sum(last_seq - first_seq + 1) FROM receipt").fetchone()[0] or 0)

    def code(self, *words: str) -> str:
        """A new enrolment code, as the command shows it."""
        shown = self.say("cloud", "box", "enrol-code", BOX, *words)
        return next(line.strip() for line in shown.splitlines() if line.startswith("    ") and "-" in line)


def give(folder: Path) -> None:
    """Let mosquitto's user have a folder."""
    if os.geteuid() == 0:
        owner = pwd.getpwnam("mosquitto")
        os.chown(folder, owner.pw_uid, owner.pw_gid)


@pytest.fixture
def site() -> Iterator[Site]:
    folder = Path(tempfile.mkdtemp(prefix="footfall-devices-"))
    folder.chmod(0o755)
    try:
        yield Site(folder)
    finally:
        for path in sorted(folder.glob("*.log")):
            print(f"--- {path.name}\n{path.read_text()[-9000:]}")
        shutil.rmtree(folder)


def test_a_box_gets_in_delivers_is_shut_out_within_a_minute_and_comes_back(site: Site) -> None:
    site.say(*site.told("ca server-certificate"))
    setup = site.say(*site.told("broker setup"), "--port", str(site.broker_port), "--folder", site.broker)
    assert f"sudo ln -sf {site.broker}/footfall.conf /etc/mosquitto/conf.d/footfall.conf" in setup
    asked = site.block("# sudo systemctl edit footfall-broker").rpartition("FOOTFALL_CLOUD_URL=")[2].strip()
    assert asked == f"https://localhost:{site.api_port}"
    follow: list[str | Path] = [
        "--folder",
        site.broker,
        "--cloud",
        asked,
        "--pid-file",
        site.folder / "run/mosquitto.pid",
    ]
    with (
        site.mosquitto() as mosquitto,
        site.process("cloud", "serve") as cloud,
        site.process("cloud", "broker", "follow", *follow) as follower,
    ):
        until(lambda: is_listening(site.api_port), seconds=60, what=f"the API; it said: {cloud.log}")
        until(lambda: "1 workers" in follower.log, seconds=60, what=f"the follower; it said: {follower.log}")
        make_venue(site)
        code = site.code("--venue", VENUE)
        enrolled = site.say("edge", "enrol", "--cloud", site.url, "--code", code, "--folder", site.enrolment)
        assert f'id = "{BOX}"' in enrolled
        assert {path.stat().st_mode & 0o777 for path in site.enrolment.iterdir()} == {0o600}
        again = site.try_to("edge", "enrol", "--cloud", site.url, "--code", code, "--folder", site.enrolment)
        assert (again.returncode, "used already" in again.stderr) == (1, True)

        site.fill(50, seed=1)
        with site.process("edge", "uplink", "--config", site.settings) as uplink:
            until(lambda: site.waiting() == 0, seconds=60, what="delivery")
            taken = site.taken()
            assert taken >= 50
            assert finding(site, "broker")["verdict"] == "ok", finding(site, "broker")
            assert finding(site, "enrolment")["verdict"] == "ok"
            assert uplink.log.count("Connected to broker") == 1, "the check threw nobody out"

            site.say("cloud", "box", "revoke", BOX)
            began = time.monotonic()
            until(lambda: "connection to broker" in uplink.log, seconds=EFFECTIVE_SECONDS, what="the end of it")
            until(lambda: "certificate verify failed" in mosquitto.log, seconds=EFFECTIVE_SECONDS, what="the refusal")
            assert time.monotonic() - began < EFFECTIVE_SECONDS
            until(lambda: "may refuse this box's certificate" in uplink.log, seconds=EFFECTIVE_SECONDS, what="a hint")
            refused = finding(site, "broker")
            assert (refused["verdict"], "certificate revoked" in str(refused["said"])) == ("fail", True), refused
            site.fill(10, seed=2)
            assert site.waiting() >= 10
            assert site.taken() == taken

            code = site.code()
            words: list[str | Path] = [
                "edge",
                "enrol",
                "--cloud",
                site.url,
                "--code-file",
                "-",
                "--folder",
                site.enrolment,
            ]
            assert site.try_to(*words, standard_input=f"{code}\n").returncode == 0
            until(lambda: site.waiting() == 0, seconds=90, what="delivery after the box was enrolled anew")
            assert site.taken() >= taken + 10
            secret = json.loads((site.enrolment / "enrolment.json").read_text())["key"]
            assert uplink.is_running
        logs = "".join(path.read_text() for path in site.folder.glob("*.log"))
        assert secret not in logs
        assert code not in logs
        assert "Traceback" not in logs


def make_venue(site: Site) -> None:
    venue = {"venue": VENUE, "name": "Harbour shop", "timezone": "UTC", "kind": "shop"}
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    trust = str(site.broker / "authority.pem")
    context = ssl.create_default_context(cafile=trust)
    httpx.post(f"{site.url}/api/v1/venues", json=venue, headers=headers, verify=context).raise_for_status()


def finding(site: Site, topic: str) -> dict[str, str]:
    """What `footfall edge check` says of a topic."""
    told = json.loads(site.try_to("edge", "check", "--json", "--config", site.settings).stdout)
    found: dict[str, str] = next(one for one in told["findings"] if one["topic"] == topic)
    return found
