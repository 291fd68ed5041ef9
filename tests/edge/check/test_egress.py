"""What a check says of vision's reach: inside its unit as proof, outside as what the unit says."""

import errno
import os
import pwd
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.check.egress import PUBLIC, Address, Place, check_egress, unit_rules
from edge.check.findings import Verdict
from tests.support.ports import free_port

UNIT = "footfall-vision.service"
LAN = "localhost 10.0.0.0/8 192.168.0.0/16 fc00::/7 fe80::/10"


@pytest.fixture
def internet() -> Iterator[Address]:
    """Something that takes connections, in place of a public address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield "127.0.0.1", listener.getsockname()[1]


@pytest.fixture
def offline() -> Address:
    return "127.0.0.1", free_port()


def place(
    folder: Path,
    *,
    cgroup: str = "0::/user.slice/user-0.slice/session-1.scope",
    user: int = 0,
    unit: str | None = None,
) -> Place:
    (folder / "cgroup").write_text(cgroup + "\n")
    (folder / "units").mkdir()
    if unit is not None:
        (folder / "units" / UNIT).write_text(f"[Service]\n{unit}\n")
    return Place(cgroup=folder / "cgroup", user=user, unit_folders=(folder / "absent", folder / "units"))


@pytest.mark.parametrize("unit", [UNIT, "footfall-vision-check.service"])
def test_inside_visions_unit_a_public_address_that_answers_fails(unit: str, tmp_path: Path, internet: Address) -> None:
    found = check_egress(place(tmp_path, cgroup=f"0::/system.slice/{unit}"), public=[internet])
    assert found.verdict is Verdict.FAIL
    assert "vision's own unit reaches the internet" in found.said


def test_inside_visions_unit_a_public_address_that_does_not_answer_is_well_unless_nobody_reaches_it(
    tmp_path: Path, offline: Address
) -> None:
    found = check_egress(place(tmp_path, cgroup=f"0::/system.slice/{UNIT}"), public=[offline])
    assert found.verdict is Verdict.OK
    assert found.said == (
        "no address outside could be reached from inside vision's unit (127.0.0.1: Connection refused); "
        "if this machine has no internet at all, this proves nothing"
    )


def test_an_address_that_answers_is_the_internet_though_no_name_can_be_looked_up(
    tmp_path: Path, internet: Address
) -> None:
    found = check_egress(
        place(tmp_path, cgroup=f"0::/system.slice/{UNIT}"), public=[("nowhere.invalid", 443), internet]
    )
    assert found.verdict is Verdict.FAIL
    assert found.said == "vision's own unit reaches the internet (127.0.0.1)"


@pytest.fixture
def visions_user(monkeypatch: pytest.MonkeyPatch) -> int:
    """This process's user, as if a box's administrator had named it so."""
    name = pwd.struct_passwd(("footfall-vision", "x", os.geteuid(), 0, "", "/", "/bin/false"))
    monkeypatch.setattr(pwd, "getpwuid", {os.geteuid(): name}.__getitem__)
    return os.geteuid()


def test_what_visions_user_cannot_reach_vision_cannot_either(
    visions_user: int, tmp_path: Path, offline: Address
) -> None:
    found = check_egress(place(tmp_path, user=visions_user), public=[offline])
    assert found.verdict is Verdict.OK
    assert found.said.startswith("no address outside could be reached as vision's user footfall-vision (")
    assert found.said.endswith("if this machine has no internet at all, this proves nothing")


def test_what_visions_user_reaches_the_table_of_nftables_does_not_stop(
    visions_user: int, tmp_path: Path, internet: Address
) -> None:
    found = check_egress(place(tmp_path, user=visions_user, unit="IPAddressDeny=any"), public=[internet])
    assert found.verdict is Verdict.WARN
    assert found.said.startswith("vision's user footfall-vision reaches the internet")


NO_WAY = [
    OSError(errno.ENETUNREACH, "Network is unreachable"),
    OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"),
    socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
]


@pytest.mark.parametrize("error", NO_WAY, ids=lambda error: str(error.strerror))
@pytest.mark.parametrize("cgroup", [f"0::/system.slice/{UNIT}", "0::/user.slice"], ids=["unit", "shell"])
def test_on_a_machine_without_a_way_out_only_the_unit_can_be_told(
    error: OSError, cgroup: str, visions_user: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "create_connection", refuse)
    here = place(tmp_path, cgroup=cgroup, user=visions_user, unit=f"IPAddressDeny=any\nIPAddressAllow={LAN}")
    found = check_egress(here, public=[("1.1.1.1", 443)])
    assert "lets vision reach only localhost, 10.0.0.0/8" in found.said
    assert "not proved from this shell, which has no way to the internet, which proves nothing (1.1.1.1: " in found.said


@pytest.mark.parametrize("locked", [errno.EHOSTUNREACH, errno.EACCES, errno.EPERM, errno.ETIMEDOUT])
def test_what_a_lock_refuses_is_a_way_out(
    locked: int, visions_user: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(address: Address, **_: object) -> None:
        raise OSError(locked if address[0] == "1.1.1.1" else errno.ENETUNREACH, "no")

    monkeypatch.setattr(socket, "create_connection", refuse)
    found = check_egress(place(tmp_path, user=visions_user), public=PUBLIC)
    assert found.said.startswith("no address outside could be reached as vision's user")


@pytest.mark.parametrize("user", [0, 4_000_000_000], ids=["another user", "a user without a name"])
def test_what_another_user_cannot_reach_proves_nothing(user: int, tmp_path: Path, offline: Address) -> None:
    found = check_egress(place(tmp_path, user=user), public=[offline])
    assert found.verdict is Verdict.WARN


def test_outside_what_the_unit_says_is_told_as_no_proof(tmp_path: Path, internet: Address) -> None:
    found = check_egress(place(tmp_path, unit=f"IPAddressDeny=any\nIPAddressAllow={LAN}"), public=[internet])
    assert found.verdict is Verdict.OK
    assert "lets vision reach only localhost, 10.0.0.0/8" in found.said
    assert "not proved from this shell, which reaches the internet" in found.said


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        pytest.param(None, "is not installed, so nothing confines vision", id="no unit"),
        pytest.param("ExecStart=/bin/true", "does not say IPAddressDeny=any", id="a unit without limits"),
        pytest.param("IPAddressDeny=any\nIPAddressAllow=10.0.0.0/8 8.8.8.0/24", "reach 8.8.8.0/24", id="public range"),
        pytest.param("IPAddressDeny=any\nIPAddressAllow=any", "reach any", id="any"),
        pytest.param("IPAddressDeny=any\nIPAddressAllow=cameras", "reach cameras", id="a word systemd does not know"),
    ],
)
def test_outside_a_unit_that_does_not_confine_is_told(
    unit: str | None, said: str, tmp_path: Path, offline: Address
) -> None:
    found = check_egress(place(tmp_path, unit=unit), public=[offline])
    assert found.verdict is Verdict.WARN
    assert said in found.said
    assert found.advice


def test_drop_ins_add_and_an_empty_value_takes_back(tmp_path: Path) -> None:
    vendor, administrator = tmp_path / "usr", tmp_path / "etc"
    for folder in (vendor, administrator):
        (folder / f"{UNIT}.d").mkdir(parents=True)
    (vendor / UNIT).write_text(f"[Service]\nIPAddressDeny=any\nIPAddressAllow={LAN}\n")
    (vendor / f"{UNIT}.d/10-cameras.conf").write_text("[Service]\nIPAddressAllow=203.0.113.9\n")
    (administrator / f"{UNIT}.d/10-cameras.conf").write_text(
        "[Service]\nIPAddressAllow=\nIPAddressAllow=192.168.1.10\n"
    )
    (administrator / f"{UNIT}.d/20-more.conf").write_text("[Service]\nIPAddressAllow = 192.168.1.11\n")
    rules = unit_rules((vendor, administrator))
    assert rules is not None
    assert (rules.deny, rules.allow) == (("any",), ("192.168.1.10", "192.168.1.11"))
