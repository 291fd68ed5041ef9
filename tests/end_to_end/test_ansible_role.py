"""The Ansible role on a bare Debian over SSH, and what the box that it makes can reach.

A real Debian root, sshd, pip, systemd's own programs and nftables; the box's network is a namespace of its own, with an
RTSP camera and hosts that answer in another.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.debian_root import DebianRoot
from tests.support.network import BOX, CAMERA, HOSTS, NEIGHBOUR, VENUE, VISION, Network, within
from tests.support.playbook import Applied, apply
from tests.support.processes import Command, until
from tests.support.prometheus import Scrape
from tests.support.rtsp_server import RtspServer, encoded_film

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.needs_debootstrap,
    pytest.mark.needs_gstreamer,
    pytest.mark.timeout(600),
]

SYSTEMD = Path(__file__).parents[2] / "systemd"
PASSWORD = 'it\'s "so" $ecret \\`'
CAMERA_PASSWORD = "viewers-word"
CAMERA_PORT, METRICS_PORT = 8554, 9500
MODEL = "/var/lib/footfall/models/people.onnx"
SIZE = (320, 240)
FILES = {
    "/etc/footfall/edge.toml": ("root", "footfall", 0o640),
    "/etc/footfall/cameras.env": ("root", "root", 0o600),
    "/etc/footfall/edge.env": ("root", "root", 0o600),
    "/etc/footfall/vision.nft": ("root", "root", 0o644),
    "/etc/systemd/system/footfall-firewall.service": ("root", "root", 0o644),
    "/etc/systemd/system/footfall-uplink.service": ("root", "root", 0o644),
    "/etc/systemd/system/footfall-vision.service": ("root", "root", 0o644),
    "/etc/systemd/system/footfall-vision.service.d/reach.conf": ("root", "root", 0o644),
    "/var/lib/footfall/exchange": ("root", "footfall", 0o2770),
    MODEL: ("root", "root", 0o644),
}
ENABLED = {
    "multi-user.target.wants/footfall-uplink.service",
    "multi-user.target.wants/footfall-vision.service",
    "footfall-vision.service.requires/footfall-firewall.service",
}
AS_VISION = (
    "set -a; . /etc/footfall/edge.env; . /etc/footfall/cameras.env; export FOOTFALL_MODELS=/var/lib/footfall/models; "
    "exec setpriv --reuid=footfall-vision --regid=footfall-vision --init-groups /opt/footfall/bin/footfall edge "
)
"""As docs/systemd.md has it, with what systemd would do for vision."""
CONFIGURATION: Mapping[str, Any] = {
    "box": {"id": "harbour-box", "venue": "harbour-shop"},
    "clock": {"trust": "always"},
    "detector": {"model": MODEL},
    "metrics": {"host": BOX, "port": METRICS_PORT},
    "camera": [
        {
            "id": "door",
            "url": f"rtsp://viewer:${{DOOR_PASSWORD}}@{CAMERA}:{CAMERA_PORT}/camera",
            "image_size": list(SIZE),
            "masks": [[[0, 0], [100, 0], [100, 60]]],
            "line": [{"id": "entrance", "kind": "entrance", "a": [20, 200], "b": [300, 200]}],
            "zone": [{"id": "welcome-mat", "polygon": [[20, 100], [300, 100], [300, 230]]}],
        }
    ],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A bare Debian that the role has made a box, and how a dry run before its first and the first went.

    `left_by_dry` are those of the role's files that were there after the dry run.
    """

    root: DebianRoot
    variables: Mapping[str, Any]
    folder: Path
    dry: Applied
    left_by_dry: list[str]
    first: Applied

    def apply(self, *, is_dry: bool = False, **variables: object) -> Applied:
        """Run the playbook again, with other variables than at first where given."""
        return apply(self.root, {**self.variables, **variables}, folder=self.folder, is_dry=is_dry)

    def file(self, path: str) -> Path:
        """A file of the box, as seen from here."""
        return self.root.folder / path.removeprefix("/")

    def user(self, name: str) -> int:
        """The number of a user of the box."""
        return int(self.root.run("id", "--user", name).stdout)

    def load(self, rules: str) -> None:
        """Load a file of rules of the box into vision's network, as the firewall's unit does."""
        loaded = subprocess.run(
            [*within(VISION), *self.root.command("/usr/sbin/nft", "--file", rules)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (loaded.returncode, loaded.stderr) == (0, "")


@pytest.fixture(scope="module")
def box(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    variables = {
        "edge_box_configuration": {**CONFIGURATION, "box": {"id": "harbour-box", "venue": "harbour-shop"}},
        "edge_box_environment": {"DOOR_PASSWORD": CAMERA_PASSWORD, "FOOTFALL_EDGE_BROKER__PASSWORD": PASSWORD},
        "edge_box_model_file": str(assets / "models" / "yolox_nano.onnx"),
    }
    folder = tmp_path_factory.mktemp("installer")
    with DebianRoot() as root:
        dry = apply(root, variables, folder=folder, is_dry=True)
        left_by_dry = [path for path in ("/opt/footfall", *FILES) if (root.folder / path.removeprefix("/")).exists()]
        first = apply(root, variables, folder=folder)
        assert first.exit_code == 0, first.said[-5000:]
        yield Box(root=root, variables=variables, folder=folder, dry=dry, left_by_dry=left_by_dry, first=first)


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as made:
        yield made


@contextmanager
def camera(folder: Path) -> Iterator[RtspServer]:
    """A camera in the venue's network that asks for its password."""
    pictures = [np.full((SIZE[1], SIZE[0], 3), 60 + number, np.uint8) for number in range(100)]
    film = encoded_film([pictures], folder / "film")
    with RtspServer(
        film, address=CAMERA, port=CAMERA_PORT, within=within(VENUE), user="viewer", password=CAMERA_PASSWORD, loop=True
    ) as server:
        yield server


def edge(box: Box, words: str) -> list[str | Path]:
    """`footfall edge` with these words, in the box and its network, as vision's user with the box's passwords."""
    clean = ["env", "--ignore-environment", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
    return [*within(VISION), *box.root.command(*clean, "sh", "-c", AS_VISION + words)]


def scraped() -> Scrape:
    """What vision tells Prometheus on the box."""
    asking = f"import urllib.request as r; print(r.urlopen('http://{BOX}:{METRICS_PORT}/metrics').read().decode())"
    asked = subprocess.run([*within(VISION), sys.executable, "-c", asking], capture_output=True, text=True, check=False)
    return Scrape(asked.stdout)


def answered(at: str) -> bool:
    """Whether vision answers a Prometheus at this address of the venue."""
    asking = (
        "import http.client; "
        f"asked = http.client.HTTPConnection('{BOX}', {METRICS_PORT}, timeout=3, source_address=('{at}', 0)); "
        "asked.request('GET', '/metrics'); print(asked.getresponse().status)"
    )
    asked = subprocess.run([*within(VENUE), sys.executable, "-c", asking], capture_output=True, text=True, check=False)
    return asked.stdout.strip() == "200"


def analysed() -> float:
    """How many frames of the camera vision has analysed; none before it answers."""
    told = scraped()
    known = "footfall_camera_analysed_frames_total" in told
    return told.value("footfall_camera_analysed_frames_total", camera="door") if known else 0


def test_a_dry_run_on_a_bare_debian_says_what_it_would_change_and_changes_nothing(box: Box) -> None:
    assert box.dry.exit_code == 0, box.dry.said[-5000:]
    assert {"Bring the wheel", "Write the configuration", "Install the units"} <= set(box.dry.changed)
    assert box.left_by_dry == []


def test_a_first_run_makes_a_bare_debian_a_box(box: Box) -> None:
    look = box.root.run("stat", "--format", "%n %U %G %a", *FILES).stdout.splitlines()
    found = {name: (user, group, int(mode, 8)) for name, user, group, mode in map(str.split, look)}
    assert found == FILES
    links = box.file("/etc/systemd/system").rglob("footfall-*.service")
    assert {str(link.relative_to(box.file("/etc/systemd/system"))) for link in links if link.is_symlink()} >= ENABLED
    assert box.root.run("/opt/footfall/bin/footfall", "--version").stdout.startswith("footfall ")
    verified = box.root.run("systemd-analyze", "verify", "--man=no", "footfall-vision.service")
    assert (verified.returncode, verified.stderr) == (0, "")
    assert box.first.handlers == ["Reload systemd", "Reload the firewall", "Restart vision", "Restart uplink"]


def test_no_password_is_told(box: Box) -> None:
    assert CAMERA_PASSWORD not in box.first.said
    assert CAMERA_PASSWORD not in box.file("/etc/footfall/edge.toml").read_text()


def test_a_shell_and_systemd_read_each_password_as_it_was_given(box: Box) -> None:
    said = box.root.run("sh", "-c", '. /etc/footfall/edge.env; printf %s "$FOOTFALL_EDGE_BROKER__PASSWORD"')
    assert said.stdout == PASSWORD


@pytest.mark.parametrize("is_dry", [False, True], ids=["real", "dry"])
def test_a_second_run_changes_nothing(box: Box, is_dry: bool) -> None:
    second = box.apply(is_dry=is_dry)
    assert (second.exit_code, second.changed, second.handlers) == (0, [], [])


def test_a_third_run_mends_what_was_deleted_and_nothing_else(box: Box) -> None:
    lost = ["/etc/systemd/system/footfall-vision.service", "/etc/footfall/vision.nft", "/opt/footfall/bin/footfall"]
    before = {path: box.file(path).read_bytes() for path in lost}
    for path in lost:
        box.file(path).unlink()
    third = box.apply()
    assert third.exit_code == 0, third.said[-5000:]
    assert third.changed == [
        "Install the pinned packages, by their hashes",
        "Install Footfall from the wheel",
        "Write what vision may reach",
        "Install the units",
    ]
    assert {path: box.file(path).read_bytes() for path in lost} == before


def test_a_wrong_configuration_is_told_and_does_not_replace_the_one_at_work(box: Box) -> None:
    before = {path: box.file(path).read_bytes() for path in FILES if box.file(path).is_file()}
    wrong = deepcopy(dict(CONFIGURATION))
    wrong["camera"][0]["rate"] = 1000
    refused = box.apply(edge_box_configuration=wrong, edge_box_environment={"DOOR_PASSWORD": "another"})
    assert refused.exit_code != 0
    assert "edge.toml: camera[0].rate: found 1000; allowed is" in " ".join(refused.said.split())
    assert (refused.changed, refused.handlers) == ([], [])
    assert {path: box.file(path).read_bytes() for path in before} == before


def test_under_the_installed_rules_vision_counts_frames_of_its_camera_and_reaches_nobody_else(
    box: Box, network: Network, tmp_path: Path
) -> None:
    vision = box.user("footfall-vision")
    assert network.reached(user=vision) == HOSTS.keys()
    box.load("/etc/footfall/vision.nft")
    assert network.reached(user=vision) == {"the camera", "the box itself"}
    assert network.reached() == HOSTS.keys()
    with (
        camera(tmp_path),
        Command(edge(box, "vision"), log=tmp_path / "vision.log") as process,
    ):
        until(lambda: analysed() > 20, seconds=60, what=f"20 frames; vision said {process.log}")
        assert network.reached(user=vision) == {"the camera", "the box itself"}
        assert answered(CAMERA), "as any address that vision may reach"
        assert not answered(NEIGHBOUR)
        assert process.stop() == 0, process.log


def test_without_the_rules_everybody_is_reached_again(box: Box, network: Network) -> None:
    vision = box.user("footfall-vision")
    box.load("/etc/footfall/vision.nft")
    assert network.reached(user=vision) != HOSTS.keys()
    subprocess.run([*within(VISION), "nft", "delete", "table", "inet", "footfall"], check=True)
    assert network.reached(user=vision) == HOSTS.keys()


def test_the_rules_as_shipped_keep_vision_from_the_internet(box: Box, network: Network) -> None:
    box.file("/tmp/shipped.nft").write_text((SYSTEMD / "nftables/vision.nft").read_text())
    box.load("/tmp/shipped.nft")
    reached = network.reached(user=box.user("footfall-vision"))
    assert HOSTS.keys() - reached == {"the internet", "the internet by IPv6"}


def test_a_check_inside_says_what_the_box_has(box: Box, network: Network, tmp_path: Path) -> None:
    box.load("/etc/footfall/vision.nft")
    with camera(tmp_path):
        ended = subprocess.run(edge(box, "check --json"), capture_output=True, text=True, check=False)
    findings = {finding["topic"]: finding for finding in json.loads(ended.stdout)["findings"]}
    assert {topic for topic, finding in findings.items() if finding["verdict"] == "fail"} == {"broker"}
    assert "Connection refused" in findings["broker"]["said"]
    assert findings["configuration"]["said"] == "/etc/footfall/edge.toml: box harbour-box of harbour-shop, 1 camera"
    assert findings["model"]["said"].startswith(f"{MODEL}, sha256 ")
    assert findings["camera door"]["said"].startswith("320×240")
    assert findings["disk"]["verdict"] == "ok"
    assert findings["egress"]["said"].startswith(
        "no address outside could be reached as vision's user footfall-vision ("
    )
