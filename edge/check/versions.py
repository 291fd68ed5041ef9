"""Which Footfall runs here, on which Python and system."""

import platform
from importlib.metadata import version

from edge.check.findings import Finding, ok

__all__ = ["check_versions"]


def check_versions() -> Finding:
    """The versions, which are worth knowing before anything else."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return ok("versions", f"Footfall {version('footfall')}, Python {platform.python_version()}, {system}")
