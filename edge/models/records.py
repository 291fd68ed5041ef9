"""Small TOML files of tables of strings, written whole and swapped in.

Knows how such a file is read and written. Refuses to know what the tables mean.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from edge.errors import ModelError

__all__ = ["Tables", "read_tables", "write_tables"]

Tables = dict[str, dict[str, str]]


def read_tables(path: Path) -> Tables:
    """The tables of a file; none where it is absent."""
    try:
        parsed = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read: {error}; repair or remove it") from error
    return {
        name: {key: str(value) for key, value in table.items()}
        for name, table in parsed.items()
        if isinstance(table, dict)
    }


def write_tables(path: Path, tables: Mapping[str, Mapping[str, str]]) -> None:
    """Write all tables, so that a crash leaves either the old file or the new one."""
    lines = []
    for name, table in sorted(tables.items()):
        lines.append(f"[{json.dumps(name)}]")
        lines.extend(f"{key} = {json.dumps(value)}" for key, value in sorted(table.items()))
    fresh = path.with_name(path.name + ".new")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be written: {error.strerror}") from error
