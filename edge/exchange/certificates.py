"""Certificates in the inbox: laid there by whoever checked a line, and told once, by the writer's next commit.

Each stands under its line, so that a new one takes the old one's place, as JSON: `checked`, when it was made in UTC
where that was known, and `item`, the body of a draft.
"""

import json
import sqlite3

__all__ = ["KIND", "kept", "take_in"]

KIND = "certificate"


def kept(connection: sqlite3.Connection) -> list[str]:
    """The newest certificate of each line, by the lines' names."""
    return [row[0] for row in connection.execute("SELECT body FROM inbox WHERE kind = ? ORDER BY name", (KIND,))]


def take_in(connection: sqlite3.Connection) -> list[str]:
    """The drafts of those not told yet, as JSON; they are told with the transaction that is under way."""
    rows = connection.execute(
        "UPDATE inbox SET taken = 1 WHERE kind = ? AND taken = 0 RETURNING name, body", (KIND,)
    ).fetchall()
    return [json.dumps(json.loads(body)["item"]) for _, body in sorted(rows)]
