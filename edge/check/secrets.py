"""Whether others than they should may read the files in which passwords stand."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from edge.address import shows_password
from edge.check.findings import Finding, warn

__all__ = ["check_secrets"]

TOPIC = "secrets"
ENVIRONMENT_FILES = ("cameras.env", "edge.env")
"""Of vision alone, and of both processes."""
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"']+", re.IGNORECASE)
_KEY = "password"


def check_secrets(config: Path) -> Iterator[Finding]:
    """Warnings about a configuration that loads, and the files of passwords beside it; nothing where all is well."""
    for passwords in (config.with_name(name) for name in ENVIRONMENT_FILES):
        if _is_open(passwords, 0o077):
            advice = f"chmod 600 {passwords}, owned by root; change the passwords if somebody may have read them"
            yield warn(TOPIC, f"others than their owner may read the passwords in {passwords}", advice)
    if _is_open(config, 0o007) and _has_password(config):
        file = config.with_name(ENVIRONMENT_FILES[0])
        advice = f"write ${{NAME}} instead and NAME=… into {file} with mode 600, or chmod 640 {config}"
        yield warn(TOPIC, f"everybody on this machine may read a password in {config}", advice)


def _is_open(path: Path, bits: int) -> bool:
    try:
        return bool(path.stat().st_mode & bits)
    except OSError:
        return False


def _has_password(config: Path) -> bool:
    """Whether one is written out, be it in a comment's url."""
    try:
        text = config.read_text(encoding="utf-8")
        return _holds_password(tomllib.loads(text)) or any(map(shows_password, _URL.findall(text)))
    except (OSError, ValueError):
        return False


def _holds_password(value: object) -> bool:
    """Whether there is a key for one, or a url that shows one, however deep and in whichever way of writing it."""
    if isinstance(value, dict):
        return _KEY in value or any(map(_holds_password, value.values()))
    if isinstance(value, list):
        return any(map(_holds_password, value))
    return isinstance(value, str) and shows_password(value)
