"""Measurements in processes of their own: each has its own memory to tell, and its own warm caches."""

import json
import subprocess
import sys
from pathlib import Path

__all__ = ["measured", "peak_mib"]


def measured(module: str, *arguments: str) -> dict[str, float]:
    """The figures that a module prints as JSON when it is run by itself."""
    output = subprocess.run([sys.executable, "-m", module, *arguments], check=True, stdout=subprocess.PIPE, text=True)
    figures: dict[str, float] = json.loads(output.stdout.splitlines()[-1])
    return figures


def peak_mib() -> float:
    """The most memory that this process has held resident so far.

    From the kernel's high-water mark of this program: `ru_maxrss` may be that of the parent.
    """
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))
