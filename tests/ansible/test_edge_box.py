"""The role by itself: its templates as Ansible renders them, and its variables beside what is written of them."""

import json
import re
import subprocess
import textwrap
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.check.egress import unit_rules
from edge.settings import Settings
from tests.support.playbook import program

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "ansible/roles/edge_box"
SAMPLE = tomllib.loads((ROOT / "docs/edge.toml").read_text())


def variables(file: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROLE / file).read_text())
    return found


def rendered(template: str, given: Mapping[str, object], folder: Path) -> str:
    """The template as the role writes it, with these variables."""
    out, extra = folder / template, folder / "given.json"
    extra.write_text(json.dumps(given))
    files = (ROLE / "vars/main.yml", ROLE / "defaults/main.yml", extra)
    source = ROLE / "templates" / f"{template}.j2"
    command = [program("ansible"), "localhost", "-m", "ansible.builtin.template", "-a", f"src={source} dest={out}"]
    ended = subprocess.run(
        [*command, *(word for file in files for word in ("-e", f"@{file}"))],
        cwd=ROOT / "ansible",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return out.read_text()


def configuration(*urls: str) -> dict[str, object]:
    return {"edge_box_configuration": {"camera": [{"id": f"camera-{n}", "url": url} for n, url in enumerate(urls)]}}


def rules(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("#")]


def test_a_configuration_reaches_the_box_as_it_was_given(tmp_path: Path) -> None:
    given = {**SAMPLE, "box": {**SAMPLE["box"], "venue": 'Café "Zum Ochsen" \\ 🐂\n'}}
    written = rendered("edge.toml", {"edge_box_configuration": given}, tmp_path)
    assert tomllib.loads(written) == given


def test_the_calibration_of_a_camera_stays_with_its_camera(tmp_path: Path) -> None:
    cameras = [
        {"id": "a", "synthetic": {}, "zone": [{"id": "x"}, {"id": "y"}]},
        {"id": "b", "calibration": {"floor": "ground", "image_points": [[0, 0.5], [1, 1]]}},
    ]
    written = rendered("edge.toml", {"edge_box_configuration": {"camera": cameras}}, tmp_path)
    assert tomllib.loads(written) == {"camera": cameras}


def test_cameras_known_by_address_are_all_that_vision_reaches_and_no_name_server_is(tmp_path: Path) -> None:
    given = configuration("rtsp://a:${B}@192.0.2.7:554/x", "rtsp://[fd00::7]/y", "rtsp://192.0.2.7/z")
    assert "IPAddressAllow=localhost 192.0.2.7 fd00::7\n" in rendered("reach.conf", given, tmp_path)
    lines = [line.strip() for line in rules(rendered("vision.nft", given, tmp_path))]
    assert [line for line in lines if line.startswith("elements")] == [
        "elements = { 192.0.2.7 }",
        "elements = { fd00::7 }",
    ]
    assert lines[lines.index("chain vision {") + 1].startswith("meta l4proto { tcp, udp } th dport { 53, 853 }")


def test_without_a_network_camera_vision_reaches_nothing_but_the_box(tmp_path: Path) -> None:
    given = {"edge_box_configuration": {"camera": [{"id": "door", "device": "/dev/video0"}]}}
    assert rendered("reach.conf", given, tmp_path).endswith("IPAddressAllow=\nIPAddressAllow=localhost\n")
    assert "elements" not in rendered("vision.nft", given, tmp_path)


def test_a_camera_known_by_name_only_leaves_vision_the_rules_as_shipped(tmp_path: Path) -> None:
    written = rendered("vision.nft", configuration("rtsp://192.0.2.7/x", "rtsp://door.lan/y"), tmp_path)
    assert rules(written) == rules((ROOT / "systemd/nftables/vision.nft").read_text())


def test_by_hand_and_with_ansible_the_guide_leads_to_the_same_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    guide = (ROOT / "docs/install.md").read_text()
    blocks = [textwrap.dedent(block) for block in re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", guide, re.MULTILINE)]
    by_hand = tomllib.loads(next(block.strip() for block in blocks if block.strip().startswith("[box]")))
    inventory = yaml.safe_load(next(block for block in blocks if "edge_boxes:" in block))
    host = inventory["edge_boxes"]["hosts"]["corner-shop-1"]
    assert host["edge_box_configuration"] == by_hand
    for name in host["edge_box_environment"]:
        monkeypatch.setenv(name, "a-password")
    assert [camera.id for camera in Settings(**by_hand).cameras] == ["door"]


def test_the_private_networks_are_those_of_the_unit() -> None:
    unit = unit_rules((ROOT / "systemd",))
    assert unit is not None
    assert ("localhost", *variables("vars/main.yml")["edge_box_private_networks"]) == unit.allow


@pytest.mark.parametrize("file", ["defaults/main.yml", "README.md"])
def test_each_variable_that_may_be_set_is_checked_and_explained(file: str) -> None:
    checked = variables("meta/argument_specs.yml")["argument_specs"]["main"]["options"].keys()
    if file == "README.md":
        assert [name for name in checked if f"`{name}`" not in (ROLE / file).read_text()] == []
    else:
        assert {"edge_box_configuration", *variables(file)} == checked


def test_the_example_is_an_inventory_that_the_role_would_take() -> None:
    host = yaml.safe_load((ROOT / "ansible/inventory.example.yml").read_text())["edge_boxes"]["hosts"]["main-street-1"]
    checked = variables("meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert {name for name in host if name.startswith("edge_box_")} <= checked.keys()
    assert host["edge_box_configuration"].keys() <= checked["edge_box_configuration"]["options"].keys()


def test_cameras_passwords_go_to_vision_alone(tmp_path: Path) -> None:
    given = {"edge_box_environment": {"DOOR": 'a"b$c', "FOOTFALL_EDGE_BROKER__PASSWORD": "of the broker"}}
    files = {name: rules(rendered(name, given, tmp_path)) for name in ("cameras.env", "edge.env")}
    assert files == {
        "cameras.env": ['DOOR="a\\"b\\$c"'],
        "edge.env": ['FOOTFALL_EDGE_BROKER__PASSWORD="of the broker"'],
    }


PROGRAM = """#!/bin/sh
echo "$@" >> {folder}/asked
read code
echo "$code" >> {folder}/codes
if [ "$code" = spent ]; then echo "footfall edge: the cloud does not know this code" >&2; exit 1; fi
"""


def enrolled(folder: Path, code: str, *words: str) -> tuple[int, str]:
    """How the role's enrolment ends, and all that Ansible says, with a program in Footfall's place."""
    program_file, play = folder / "footfall", folder / "play.yml"
    program_file.write_text(PROGRAM.format(folder=folder))
    program_file.chmod(0o755)
    handler = {"name": "Restart uplink", "ansible.builtin.debug": {"msg": "restarted"}}
    tasks = [{"ansible.builtin.include_tasks": str(ROLE / "tasks/enrolment.yml")}]
    given = {
        "edge_box_program": str(program_file),
        "edge_box_cloud": "https://cloud.example",
        "edge_box_enrolment_code": code,
        "edge_box_enrolment_mark": variables("vars/main.yml")["edge_box_enrolment_mark"].replace(
            "/etc/footfall", str(folder)
        ),
    }
    hosts = {"hosts": "localhost", "gather_facts": False, "vars": given, "tasks": tasks, "handlers": [handler]}
    play.write_text(yaml.safe_dump([hosts]))
    ended = subprocess.run(
        [program("ansible-playbook"), "-i", "localhost,", "-c", "local", play, *words],
        cwd=ROOT / "ansible",
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_a_code_enrols_the_box_once_and_another_one_anew(tmp_path: Path) -> None:
    code, said = enrolled(tmp_path, "FIRST-CODE", "-vvv")
    assert (code, "restarted" in said, "FIRST-CODE" in said) == (0, True, False)
    assert (tmp_path / "asked").read_text() == "edge enrol --cloud https://cloud.example --code-file -\n"
    code, said = enrolled(tmp_path, "FIRST-CODE")
    assert (code, "changed=0" in said) == (0, True)
    code, said = enrolled(tmp_path, "SECOND-CODE")
    assert (code, "changed=0" in said) == (0, False)
    assert (tmp_path / "codes").read_text() == "FIRST-CODE\nSECOND-CODE\n"


def test_a_code_that_the_cloud_refuses_is_told_with_the_reason_and_tried_again(tmp_path: Path) -> None:
    for _ in range(2):
        code, said = enrolled(tmp_path, "spent")
        assert code != 0
        assert "the cloud does not know this code" in said
    assert (tmp_path / "codes").read_text() == "spent\nspent\n"
