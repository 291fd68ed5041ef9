"""Where `${NAME}` gets its value: the environment, else a credential that systemd hands to this service alone.

A credential is a file in a folder that only the service may read (`LoadCredential=NAME:/path`), and unlike the
environment it is inherited by nobody. Values are never logged.
"""

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["secret_named"]


def secret_named(name: str, *, environment: Mapping[str, str] = os.environ) -> str | None:
    """The value of a name, or None where nobody gave one; the line's end of a file is no part of it."""
    if name in environment:
        return environment[name]
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if folder is None:
        return None
    try:
        return (Path(folder) / name).read_text(encoding="utf-8").removesuffix("\n")
    except OSError:
        return None
