"""The project's own playbook, run as an installer runs it, and what it says that it changed."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.debian_root import DebianRoot

__all__ = ["Applied", "apply", "program"]

FOLDER = Path(__file__).parents[2] / "ansible"
HOST = "harbour-box"
TASK = re.compile(
    r"^(?:TASK|RUNNING HANDLER) \[edge_box : (.+?)\] \*+$(.*?)(?=^(?:TASK|RUNNING HANDLER|PLAY) )",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """How a run ended: exit code, the tasks that changed something, the handlers that ran, and all that it said."""

    exit_code: int
    changed: list[str]
    handlers: list[str]
    said: str


def apply(root: DebianRoot, variables: Mapping[str, object], *, folder: Path, is_dry: bool = False) -> Applied:
    """Run the playbook on this root with these variables of the role; dry, it says what it would change."""
    inventory = folder / "inventory.json"
    reach = {"ansible_host": "127.0.0.1", "ansible_port": root.port, "ansible_user": "root"}
    inventory.write_text(json.dumps({"edge_boxes": {"hosts": {HOST: {**reach, **variables}}}}))
    ended = subprocess.run(
        [program("ansible-playbook"), "--inventory", inventory, "edge_box.yml", *(["--check"] if is_dry else [])],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "ANSIBLE_HOME": str(folder),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_SSH_ARGS": " ".join(root.ssh_options),
        },
    )
    said = ended.stdout + ended.stderr
    return Applied(
        exit_code=ended.returncode,
        changed=[name for name, outcome in TASK.findall(said) if re.search("^changed: ", outcome, re.MULTILINE)],
        handlers=re.findall(r"^RUNNING HANDLER \[edge_box : (.+)\]", said, re.MULTILINE),
        said=said,
    )


def program(name: str) -> str:
    """A program of ansible-core, of the environment that these tests run in."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert found, "ansible-core is not installed: run `make setup`"
    return found
