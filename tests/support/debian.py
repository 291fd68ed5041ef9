"""Where Debian put the programs that tests start, and which package brings each."""

import shutil
import subprocess
from functools import cache
from pathlib import Path

__all__ = [
    "chromium_program",
    "debootstrap_programs",
    "gstreamer_python",
    "mosquitto_program",
    "postgres_programs",
    "systemd_programs",
]

ADMINISTRATORS = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/sbin:/bin"
"""Where an administrator's shell looks for programs."""
_TRY_GSTREAMER = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
missing = [name for name in ("qtdemux", "h264parse", "rtph264pay") if Gst.ElementFactory.find(name) is None]
raise SystemExit(bool(missing))
"""


def chromium_program() -> Path | None:
    """The browser, from Debian's package chromium."""
    found = shutil.which("chromium")
    return Path(found) if found else None


def debootstrap_programs() -> Path | None:
    """debootstrap, where nft, ip and ssh are too: packages debootstrap, nftables, iproute2 and openssh-client."""
    found = [shutil.which(name, path=ADMINISTRATORS) for name in ("debootstrap", "nft", "ip", "ssh", "ssh-keygen")]
    return Path(found[0]) if found[0] and all(found) else None


def mosquitto_program() -> Path | None:
    """The broker, from Debian's package mosquitto."""
    found = shutil.which("mosquitto", path=ADMINISTRATORS)
    return Path(found) if found else None


def postgres_programs() -> Path | None:
    """The folder with initdb and postgres of the newest version, from Debian's package postgresql."""
    folders = [program.parent for program in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


def systemd_programs() -> Path | None:
    """The folder with systemd-analyze, systemd-tmpfiles and systemd-sysusers, from Debian's package systemd."""
    found = [shutil.which(f"systemd-{name}") for name in ("analyze", "tmpfiles", "sysusers")]
    return Path(found[0]).parent if found[0] and all(found) else None


@cache
def gstreamer_python() -> Path | None:
    """Debian's own Python, if it can start GStreamer's RTSP server; three packages and the plugins bring that."""
    python = Path("/usr/bin/python3")
    if not python.exists():
        return None
    trial = subprocess.run([python, "-c", _TRY_GSTREAMER], capture_output=True, check=False)
    return python if trial.returncode == 0 else None
