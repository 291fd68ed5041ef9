"""The cloud's API behind a real socket, with TLS by its own authority or by another's."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from sqlalchemy import Engine

from cloud.api import create_app
from cloud.devices.authority import Authority, make_key
from cloud.settings import Settings
from tests.support.api import ADMIN_KEY
from tests.support.ports import free_port, is_listening
from tests.support.processes import until

__all__ = ["served_cloud"]


@contextmanager
def served_cloud(engine: Engine, folder: Path, *, signed_by: Authority) -> Iterator[str]:
    """The address of an API whose data folder this is."""
    key, key_pem = make_key()
    issued = signed_by.sign_server(key, names=["127.0.0.1"], now=datetime.now(UTC), days=1)
    certificate = folder / "api.pem"
    certificate.write_text(key_pem + issued.pem)
    app = create_app(Settings.model_validate({"admin_key": ADMIN_KEY, "data_dir": folder}), engine)
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, access_log=False, ssl_certfile=certificate)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: is_listening(port), seconds=20, what="the API to listen")
        yield f"https://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)
