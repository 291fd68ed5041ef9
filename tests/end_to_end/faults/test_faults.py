"""Nothing lost, nothing twice: whatever is done to boxes, broker and cloud, a hundred times by fixed seeds."""

import pytest

from tests.end_to_end.faults.rounds import play

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.needs_mosquitto,
    pytest.mark.needs_postgres,
    pytest.mark.timeout(900),
]

FAULTS = 50


@pytest.mark.parametrize(("database", "seed"), [("sqlite", 5), ("postgresql", 55)])
def test_no_fault_loses_or_doubles_an_item(database: str, seed: int) -> None:
    played = play(database=database, seed=seed, count=FAULTS)
    print(played)
    assert played.finding.items > 0
    assert not played.finding.wrong, f"\n{played}"
    assert (played.finding.lost, played.finding.doubled) == (0, 0)
