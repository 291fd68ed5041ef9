"""Nothing lost, nothing twice: whatever is done to boxes, broker and cloud, a hundred times by fixed seeds."""

import pytest

from tests.end_to_end.faults.rounds import play
from tests.end_to_end.faults.world import NARROW, WIDE

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.needs_mosquitto,
    pytest.mark.needs_postgres,
    pytest.mark.timeout(900),
]

FAULTS = 50
MOST_DECLARED = 0.4
"""Of what the narrow box made: one that declared all it has no room for, instead of merging it, would not pass."""
THROW_AWAY = {"old exchange restored", "cloned box"}


@pytest.mark.parametrize(("database", "seed"), [("sqlite", 5), ("postgresql", 55)])
def test_no_fault_loses_or_doubles_an_item(database: str, seed: int) -> None:
    played = play(database=database, seed=seed, count=FAULTS)
    print(played)
    wide, narrow = played.findings[WIDE], played.findings[NARROW]
    assert not played.finding.wrong, f"\n{played}"
    assert wide.items > 0
    assert (wide.declared, wide.merged) == (0, 0)
    assert narrow.merged > 0
    assert narrow.declared <= MOST_DECLARED * narrow.items
    if not THROW_AWAY & played.kinds.keys():
        assert played.finding.gone_with_a_disk == 0
