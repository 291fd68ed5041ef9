import json
import re

from cloud.web.front_end import FILES, PACKAGES


def test_each_file_comes_from_a_package_that_is_asked_for_and_pinned_with_its_hash() -> None:
    wanted = json.loads((PACKAGES / "package.json").read_text())["dependencies"]
    pinned = json.loads((PACKAGES / "package-lock.json").read_text())["packages"]
    assert {file.package for file in FILES} == set(wanted)
    for name, entry in pinned.items():
        if name:
            assert re.fullmatch(r"\d+\.\d+\.\d+", entry["version"])
            assert entry["integrity"].startswith("sha512-")
            assert "resolved" not in entry


def test_each_package_is_served_with_its_licence() -> None:
    licensed = {file.package for file in FILES if file.path == "LICENSE"}
    assert licensed == {file.package for file in FILES}
