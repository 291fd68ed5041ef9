"""A bare Debian in a folder, reached over SSH as an installer reaches a box.

debootstrap makes it of this machine's own release and mirror; pip in it asks where pip on this machine asks. It shares
this machine's kernel and network, and systemd does not run in it.
"""

import ast
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.support.ports import free_port, is_listening
from tests.support.processes import until

__all__ = ["DebianRoot"]

BARE = "openssh-server,python3,systemd"
"""What whoever sets up a box has put on it: Debian's installer offers SSH, Ansible asks for Python."""
SSHD = (
    "-o", "ListenAddress=127.0.0.1", "-o", "PermitRootLogin=prohibit-password", "-o", "UsePAM=no",
    "-o", "PidFile=none", "-o", "HostKey=/etc/ssh/ssh_host_ed25519_key",
)  # fmt: skip


class DebianRoot:
    """A Debian at `folder`, with an SSH server on `port` of 127.0.0.1 that lets in whoever has `key`. Needs root."""

    def __init__(self) -> None:
        self.port = free_port()
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with self._undo as undo:  # undone at once if the making fails
            scratch = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="footfall-debian-")))
            self.folder = scratch / "root"
            self.key = scratch / "key"
            _run("debootstrap", "--variant=minbase", f"--include={BARE}", _codename(), self.folder, _mirror())
            _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
            undo.enter_context(_mounted("-t", "proc", "proc", self.folder / "proc"))
            undo.enter_context(_mounted("-t", "sysfs", "-o", "ro", "sysfs", self.folder / "sys"))
            self._let_pip_ask_where_it_asks_here(undo)
            undo.callback(self._end_processes)
            self._serve_ssh()
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    @property
    def ssh_options(self) -> list[str]:
        """How to reach it with OpenSSH's client, which leaves nothing behind."""
        forgetful = ["-o", "UserKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]
        return ["-i", str(self.key), "-o", "IdentitiesOnly=yes", "-o", "ControlMaster=no", *forgetful]

    def command(self, *words: str | Path, user: str | None = None) -> list[str | Path]:
        """The command that runs these words inside, as this user with all its groups."""
        become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        return ["chroot", self.folder, *become, *words]

    def run(
        self, *words: str | Path, user: str | None = None, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run these words inside, with no more of the environment than given."""
        return subprocess.run(
            self.command(*words, user=user),
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **(environment or {})},
        )

    def _serve_ssh(self) -> None:
        keys = self.folder / "root/.ssh/authorized_keys"
        keys.parent.mkdir(mode=0o700, exist_ok=True)
        keys.write_text(self.key.with_suffix(".pub").read_text())
        keys.chmod(0o600)
        (self.folder / "run/sshd").mkdir(mode=0o755, exist_ok=True)
        _run(*self.command("/usr/sbin/sshd", "-p", str(self.port), *SSHD))
        until(lambda: is_listening(self.port), seconds=20, what="the SSH server to listen")

    def _let_pip_ask_where_it_asks_here(self, undo: ExitStack) -> None:
        lines = ["[global]"]
        for name, value in _pip_settings().items():
            if Path(value).is_file():  # certificates, mostly
                shutil.copyfile(value, self.folder / "etc" / f"pip-{name}")
            lines.append(f"{name} = {f'/etc/pip-{name}' if Path(value).is_file() else value}")
            for folder in _local_folders(value):
                inside = self.folder / folder.relative_to("/")
                if not inside.exists():
                    inside.mkdir(parents=True)
                    undo.enter_context(_mounted("--bind", "-o", "ro", folder, inside))
        (self.folder / "etc/pip.conf").write_text("\n".join([*lines, ""]))

    def _end_processes(self) -> None:
        """End every process whose root is this folder: the SSH server, its sessions, and what they left."""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if process.joinpath("root").readlink() == self.folder:
                    os.kill(int(process.name), signal.SIGKILL)
            except (FileNotFoundError, PermissionError, ProcessLookupError):  # it has ended, or is none of ours
                continue


@contextmanager
def _mounted(*arguments: str | Path) -> Iterator[None]:
    """Mounted as told by the arguments, of which the last is the place."""
    _run("mount", *arguments)
    try:
        yield
    finally:
        _run("umount", "--lazy", arguments[-1])


def _run(*command: str | Path) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command[0]}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}"
    return ended.stdout


def _codename() -> str:
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def _mirror() -> str:
    """Where apt on this machine takes the packages of its release from."""
    listed = _run("apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)")
    sources = [line.split() for line in listed.splitlines()]
    return next(uri for release, uri in sources if release == _codename())


def _pip_settings() -> dict[str, str]:
    """What pip's files and variables on this machine say, by name."""
    listed = _run(sys.executable, "-m", "pip", "config", "list").splitlines()
    pairs = (line.split("=", 1) for line in listed)
    return {name.rsplit(".", 1)[-1]: str(ast.literal_eval(value)) for name, value in pairs}


def _local_folders(value: str) -> Iterator[Path]:
    """The folders of this machine that a setting names; a simple index has its files beside it."""
    for word in value.split():
        path = Path(urlsplit(word).path)
        if urlsplit(word).scheme in ("", "file") and path.is_absolute() and path.is_dir():
            yield path.parent if path.name == "simple" else path
