import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.demo.children import Child, DemoError

STARTS_ONE = """
import os, sys, time
from pathlib import Path
from tools.demo.children import Child
with Child("sleeper", [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)"],
           log=Path(sys.argv[1]), environment=dict(os.environ)):
    time.sleep(60)
"""
DEADLINE_SECONDS = 20.0


def test_one_that_ends_is_told_of_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no such shop'); raise SystemExit(3)"]
    with Child("vision", command, log=tmp_path / "log", environment=dict(os.environ)) as child:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
        with pytest.raises(DemoError, match=re.escape("vision ended with code 3. It said last:\nno such shop")):
            child.check()


def test_nothing_is_left_of_a_demo_that_was_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    demo = subprocess.Popen([sys.executable, "-c", STARTS_ONE, str(log)])
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (log.exists() and log.read_text().strip()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child = int(log.read_text())
    demo.send_signal(signal.SIGKILL)
    demo.wait()
    while Path(f"/proc/{child}/cmdline").exists() and Path(f"/proc/{child}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.05)
