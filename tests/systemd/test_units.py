"""The units as systemd's own programs read them, and the users and folders that they run with."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud.settings import ListenSettings
from edge.check.egress import unit_rules
from tests.support.debian import systemd_programs
from tests.support.two_users import Users, share

pytestmark = pytest.mark.needs_systemd

ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "systemd"
UNITS = sorted(path.name for path in SYSTEMD.glob("*.service"))
TIMERS = sorted(path.name for path in SYSTEMD.glob("*.timer"))
EDGE_UNITS = ["footfall-uplink.service", "footfall-vision.service"]
PROCESSES = ["footfall-broker.service", "footfall-cloud.service", *EDGE_UNITS]
FIREWALL = "footfall-firewall.service"
BACKUP = "footfall-backup.service"
MOST_EXPOSED = 20
"""Tenths on systemd's scale from 0, safe, to 100; a Python service without any hardening stands at 96."""


def systemd(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    folder = systemd_programs()
    assert folder is not None
    return subprocess.run([folder / f"systemd-{program}", *arguments], capture_output=True, text=True, check=False)


def settings(unit: str) -> dict[str, list[str]]:
    """A unit's keys, each with its values in order."""
    found: dict[str, list[str]] = {}
    for line in (SYSTEMD / unit).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def system_calls(name: str) -> set[str]:
    """The system calls of a group as this systemd knows them, the groups within it resolved."""
    listed = systemd("analyze", "syscall-filter", "--no-pager", name).stdout.splitlines()[1:]
    names = {line.strip() for line in listed if line.startswith("    ") and not line.strip().startswith("#")}
    groups = {each for each in names if each.startswith("@")}
    return (names - groups).union(*(system_calls(group) for group in groups))


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as on a box, but for the program, which lies where these tests have it."""
    for unit in [*UNITS, *TIMERS]:
        text = (SYSTEMD / unit).read_text()
        program = Path(sys.executable).with_name("footfall")
        (tmp_path / unit).write_text(text.replace("/opt/footfall/bin/footfall", str(program)))
    return tmp_path


def test_there_is_a_unit_for_each_process_one_for_what_vision_may_reach_and_one_for_back_ups() -> None:
    assert sorted([*PROCESSES, FIREWALL, BACKUP]) == UNITS


@pytest.mark.parametrize("unit", [*UNITS, *TIMERS])
def test_systemd_finds_no_mistake_in_it(unit: str, installed: Path) -> None:
    ended = systemd("analyze", "verify", "--man=no", installed / unit)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_mistake_would_be_found(installed: Path) -> None:
    spoilt = installed / "footfall-vision.service"
    spoilt.write_text(spoilt.read_text().replace("ProtectSystem=strict", "ProtectSystem=very"))
    assert "Failed to parse protect system value" in systemd("analyze", "verify", "--man=no", spoilt).stderr


@pytest.mark.parametrize("unit", UNITS)
def test_it_is_hardly_exposed(unit: str, installed: Path) -> None:
    ended = systemd(
        "analyze", "security", "--offline=yes", "--no-pager", f"--threshold={MOST_EXPOSED}", installed / unit
    )
    assert ended.returncode == 0, ended.stdout[-3000:]


@pytest.mark.parametrize("unit", [*PROCESSES, BACKUP])
def test_its_command_is_one_that_the_product_has(unit: str) -> None:
    for command in settings(unit)["ExecStart"] + settings(unit).get("ExecStartPre", []):
        program, *words = command.split()
        assert program == "/opt/footfall/bin/footfall"
        ended = subprocess.run(
            [sys.executable, "-m", "footfall", *words[:2], "--help"], cwd=ROOT, capture_output=True, check=False
        )
        assert ended.returncode == 0
        assert words[2] in {"--config", "follow"}


def test_a_back_up_is_made_each_night_by_who_may_read_the_database() -> None:
    cloud, backup = settings("footfall-cloud.service"), settings(BACKUP)
    for key in ("User", "UMask", "StateDirectory", "Environment", "EnvironmentFile"):
        assert backup[key] == cloud[key]
    (when,) = settings("footfall-backup.timer")["OnCalendar"]
    ended = systemd("analyze", "calendar", "--iterations=2", when)
    days = re.findall(r"\d{4}-\d\d-(\d\d) 03:30:00 UTC", ended.stdout)
    assert len(set(days)) == 2, ended.stdout


def test_cameras_passwords_are_visions_alone_and_no_memory_lands_in_a_file() -> None:
    files = {unit: settings(unit)["EnvironmentFile"] for unit in EDGE_UNITS}
    assert files == {
        "footfall-uplink.service": ["-/etc/footfall/edge.env"],
        "footfall-vision.service": ["-/etc/footfall/edge.env", "-/etc/footfall/cameras.env"],
    }
    assert {unit for unit in [*PROCESSES, BACKUP] if settings(unit)["LimitCORE"] != ["0"]} == set()


def test_the_cloud_may_open_as_many_files_as_its_connections_take() -> None:
    (files,) = settings("footfall-cloud.service")["LimitNOFILE"]
    assert int(files) * 3 // 4 >= ListenSettings().connections


@pytest.mark.parametrize("unit", EDGE_UNITS)
def test_a_box_may_still_ask_what_time_it_is(unit: str) -> None:
    """What its clock module needs, ProtectClock= and ProcSubset= would take away."""
    found = settings(unit)
    allowed: set[str] = set()
    for value in found["SystemCallFilter"]:
        for name in value.removeprefix("~").split():
            calls = system_calls(name) if name.startswith("@") else {name}
            allowed = allowed - calls if value.startswith("~") else allowed | calls
    assert allowed >= {"adjtimex", "clock_adjtime", "read", "sendto", "sched_setaffinity"}
    assert allowed.isdisjoint({"clock_settime", "settimeofday", "mount", "ptrace", "reboot"})
    assert "ProtectClock" not in found
    assert "ProcSubset" not in found


def test_vision_keeps_engines_in_a_folder_of_its_own_and_outlives_a_build_that_runs_out_of_memory() -> None:
    vision = settings("footfall-vision.service")
    (folder,) = vision["CacheDirectory"]
    assert f"FOOTFALL_ENGINES=/var/cache/{folder}" in vision["Environment"]
    assert vision["OOMPolicy"] == ["continue"]


def test_vision_reaches_private_networks_only() -> None:
    rules = unit_rules((SYSTEMD,))
    assert rules is not None
    assert (rules.deny, rules.public) == (("any",), ())


def test_the_firewall_as_shipped_lets_vision_reach_what_its_unit_does() -> None:
    rules = unit_rules((SYSTEMD,))
    assert rules is not None
    shipped = (SYSTEMD / "nftables/vision.nft").read_text()
    elements = [each for line in re.findall(r"elements = \{ (.*) \}", shipped) for each in line.split(", ")]
    assert ("localhost", *elements) == rules.allow


def test_vision_does_not_start_without_the_firewall_nor_outlive_it() -> None:
    firewall = settings(FIREWALL)
    assert firewall["RequiredBy"] == firewall["Before"] == ["footfall-vision.service"]
    assert firewall["PartOf"] == firewall["ReloadPropagatedFrom"] == ["nftables.service"]


def test_each_unit_has_a_user_of_its_own_and_only_a_box_s_share_a_group() -> None:
    users = {unit: settings(unit)["User"][0] for unit in PROCESSES}
    assert users.pop("footfall-broker.service") == "mosquitto", "Debian's, whose process it signals"
    declared = (SYSTEMD / "sysusers.d/footfall.conf").read_text()
    assert sorted(users.values()) == sorted(re.findall(r"^u (\S+)", declared, re.MULTILINE))
    assert sorted(re.findall(r"^m (\S+)\s+footfall$", declared, re.MULTILINE)) == sorted(
        users[unit] for unit in EDGE_UNITS
    )


@pytest.fixture
def box() -> Iterator[Path]:
    """A root folder in which systemd has made the users and folders of a box."""
    with tempfile.TemporaryDirectory(prefix="footfall-root-") as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "etc").mkdir()
        for program, options, folder in (("sysusers", [], "sysusers.d"), ("tmpfiles", ["--create"], "tmpfiles.d")):
            ended = systemd(program, f"--root={root}", *options, SYSTEMD / folder / "footfall.conf")
            assert ended.returncode == 0, ended.stderr
        yield root


def entry(root: Path, file: str, name: str) -> list[str]:
    lines = (line.split(":") for line in (root / "etc" / file).read_text().splitlines())
    return next(fields for fields in lines if fields[0] == name)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to make folders of other users")
@pytest.mark.parametrize("vision_first", [True, False], ids=["vision opens first", "uplink opens first"])
def test_the_two_users_of_a_box_share_the_exchange_that_tmpfiles_made(vision_first: bool, box: Path) -> None:
    users = Users(
        vision=int(entry(box, "passwd", "footfall-vision")[2]),
        uplink=int(entry(box, "passwd", "footfall-uplink")[2]),
        group=int(entry(box, "group", "footfall")[2]),
    )
    assert len({users.vision, users.uplink, 0}) == 3
    assert set(entry(box, "group", "footfall")[3].split(",")) == {"footfall-vision", "footfall-uplink"}
    share(box / "var/lib/footfall/exchange", users, vision_first=vision_first)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")
def test_the_clouds_user_cannot_look_into_the_exchange(box: Path) -> None:
    cloud = int(entry(box, "passwd", "footfall-cloud")[2])
    script = (
        "import os, sys; user = int(sys.argv[1]); os.setgroups([]); os.setgid(user); os.setuid(user);"
        "os.listdir(sys.argv[2])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(cloud), box / "var/lib/footfall/exchange"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "PermissionError" in ended.stderr


def test_each_unit_stands_in_the_documentation() -> None:
    documented = (ROOT / "docs/systemd.md").read_text()
    assert [unit for unit in [*UNITS, *TIMERS] if unit not in documented] == []


def drop_ins() -> list[str]:
    """The drop-ins that the documentation shows: indented blocks that begin with a section."""
    documented = (ROOT / "docs/systemd.md").read_text()
    blocks = re.findall(r"^    \[Service\]\n(?:    .+\n)+", documented, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in blocks]


@pytest.mark.parametrize("drop_in", drop_ins(), ids=["credential", "narrowed", "USB camera", "GPU"])
def test_a_documented_drop_in_is_right_and_takes_effect(drop_in: str, installed: Path) -> None:
    folder = installed / "footfall-vision.service.d"
    folder.mkdir()
    (folder / "own.conf").write_text(drop_in)
    ended = systemd("analyze", "verify", "--man=no", installed / "footfall-vision.service")
    assert (ended.returncode, ended.stderr) == (0, "")
    rules = unit_rules((installed,))
    assert rules is not None
    assert rules.deny == ("any",)
    assert (rules.allow == ("192.168.20.11", "192.168.20.12")) is ("IPAddressAllow" in drop_in)
