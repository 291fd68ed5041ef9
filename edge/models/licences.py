"""Which licences were accepted on this machine, and when.

Knows the file `licences.toml` in the folder of models. Refuses to know how a person is asked, and the date.
"""

import datetime as dt
from pathlib import Path

from edge.models.manifest import Entry
from edge.models.records import read_tables, write_tables

__all__ = ["Licences"]


class Licences:
    """Consent holds for one model under one licence: where the licence changes, it is asked for again."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "licences.toml"

    def permit(self, entry: Entry) -> bool:
        """Whether this model may be used: its licence needs no consent, or has it."""
        if not entry.licence.needs_consent:
            return True
        return read_tables(self._path).get(_whose(entry), {}).get("licence") == entry.licence.spdx

    def accept(self, entry: Entry, *, on: dt.date) -> None:
        """Record that a person accepted the licence of this model on this day."""
        accepted = read_tables(self._path)
        accepted[_whose(entry)] = {
            "licence": entry.licence.spdx,
            "url": entry.licence.url,
            "accepted": on.isoformat(),
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_tables(self._path, accepted)


def _whose(entry: Entry) -> str:
    """The model whose licence counts: what was made of a model stays under it."""
    return entry.made_of or entry.name
