"""A server that speaks S3, of one's own: moto's, in a process of its own, on a free port."""

import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from tests.support.ports import free_port, is_listening
from tests.support.processes import until

__all__ = ["S3Server"]

BUCKET = "shop-archives"


class S3Server:
    """A server with one bucket. Until `ask_for_keys`, anybody may do anything."""

    def __init__(self) -> None:
        self.url = f"s3://{BUCKET}/footfall"
        self._port = free_port()
        self._endpoint = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with tempfile.TemporaryFile() as log:
            command = [sys.executable, "-m", "moto.server", "-p", str(self._port)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=Path(tempfile.gettempdir()))
        until(lambda: is_listening(self._port), seconds=60, what="the S3 server to listen")
        httpx.put(f"{self._endpoint}/{BUCKET}").raise_for_status()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to know, as variables."""
        return {
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_ACCESS_KEY_ID": "anybody",
            "AWS_SECRET_ACCESS_KEY": "a-secret-that-stays-unsaid",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
        }

    def ask_for_keys(self) -> None:
        """From now on nobody is let in, since nobody was ever given a key."""
        answer = httpx.post(f"{self._endpoint}/moto-api/reset-auth", content=b"0")
        answer.raise_for_status()

    def stop(self) -> None:
        """End it, and all that it holds."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
