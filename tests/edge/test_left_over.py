import pytest

from edge.anonymity import Origin
from edge.left_over import LeftOver, closed, resumable
from edge.visits import Checkpoint
from protocol.modes import Mode

BEFORE = Origin(venue="old-shop", config="a" * 32, mode=Mode.STATISTICS)


def left_over(last_seen: float, *, boot: str = "this", scene: str = "door", origin: Origin = BEFORE) -> LeftOver:
    checkpoint = Checkpoint(
        scene=scene,
        first_seen=last_seen - 30.0,
        last_seen=last_seen,
        began="appeared",
        zone_milliseconds={},
        crossings={},
        frames=300,
        mean_confidence=0.9,
    )
    return LeftOver(boot=boot, origin=origin, checkpoint=checkpoint)


def test_visits_end_as_interrupted_under_what_they_were_made_under() -> None:
    left = [left_over(990.0), left_over(995.0), left_over(400.0, boot="before", scene="till")]
    batches = {batch.boot: batch for batch in closed(left)}
    assert {batch.origin for batch in batches.values()} == {BEFORE}
    assert {boot: [draft.body["ended"] for draft in batch.drafts] for boot, batch in batches.items()} == {
        "this": ["interrupted", "interrupted"],
        "before": ["interrupted"],
    }
    assert {boot: [(one.scene, one.visits) for one in batch.checkpoints] for boot, batch in batches.items()} == {
        "this": [("door", {})],
        "before": [("till", {})],
    }


@pytest.mark.parametrize(
    ("left", "counts"),
    [
        (left_over(900.0), {"door": 1}),
        (left_over(600.0), {}),
        (left_over(990.0, boot="before"), {}),
    ],
    ids=["a moment ago", "long ago", "before the last boot"],
)
def test_who_may_still_be_there(left: LeftOver, counts: dict[str, int]) -> None:
    assert resumable([left], boot="this", now=1000.0) == counts
