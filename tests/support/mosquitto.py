"""A real mosquitto broker of one's own: a free port, no system service, and ways to make it fail."""

import os
import pwd
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.debian import mosquitto_program
from tests.support.ports import free_port, is_listening

__all__ = ["Mosquitto"]


class Mosquitto:
    """A broker on 127.0.0.1 whose port and folder stay the same over `stop`, `kill` and `restart`.

    With `persistent`, what it saves survives a stop; a kill loses what it had not saved yet, as in life.
    `settings` are further lines of its configuration file, such as `{"max_inflight_messages": 200}`.
    """

    def __init__(
        self,
        *,
        max_queued_messages: int = 1000,
        persistent: bool = False,
        settings: dict[str, str | int] | None = None,
    ) -> None:
        self.host = "127.0.0.1"
        self.port = free_port()
        self._settings = {"max_queued_messages": max_queued_messages, **(settings or {})}
        self._persistent = persistent
        self._folder = tempfile.TemporaryDirectory(prefix="footfall-mosquitto-")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:  # whatever went wrong, the folder must not stay behind
            self._folder.cleanup()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._folder.cleanup()

    @property
    def url(self) -> str:
        """The address as clients write it: `mqtt://127.0.0.1:PORT`."""
        return f"mqtt://{self.host}:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The number of the process."""
        if self._process is None:
            raise RuntimeError("it does not run")
        return self._process.pid

    @property
    def log(self) -> str:
        """All that the broker has said, over all its starts."""
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        if self.is_running:
            return
        program = mosquitto_program()
        if program is None:
            raise FileNotFoundError("mosquitto is not installed: apt-get install mosquitto")
        configuration = Path(self._folder.name) / "mosquitto.conf"
        configuration.write_text(self._configuration())
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen([program, "-c", configuration], stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while not is_listening(self.port):
            if not self.is_running or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"mosquitto did not start on port {self.port}:\n{self.log}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it politely: a persistent broker saves its state, clients get a FIN."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)
            self._process = None

    def kill(self) -> None:
        """End it at once with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    def forget(self) -> None:
        """Remove what it saved, while it does not run: sessions, messages that wait, retained ones."""
        (Path(self._folder.name) / "mosquitto.db").unlink(missing_ok=True)

    def restart(self) -> None:
        """Stop it politely and start it again on the same port."""
        self.stop()
        self.start()

    @property
    def _log_path(self) -> Path:
        return Path(self._folder.name) / "mosquitto.log"

    def _configuration(self) -> str:
        lines = [
            f"listener {self.port} {self.host}",
            "allow_anonymous true",
            f"user {pwd.getpwuid(os.geteuid()).pw_name}",
            "log_dest stderr",
            f"persistence {str(self._persistent).lower()}",
        ]
        if self._persistent:
            lines += [f"persistence_location {self._folder.name}/", "autosave_interval 1", "autosave_on_changes true"]
        lines += [f"{name} {value}" for name, value in self._settings.items()]
        return "\n".join(lines) + "\n"
