import pytest
from pydantic import ValidationError

from protocol.acks import Ack, SeqRange
from protocol.json_text import JsonObject
from tests.support.golden import read_golden

REFUSED_DIGEST = read_golden("ack-refused")["refused"]


@pytest.mark.parametrize(
    "change",
    [{"through": None}, {"epoch": None}, {"refused": REFUSED_DIGEST}, {"position": 0}, {"store": "I" * 26}],
    ids=["no through", "no epoch", "an epoch and a payload", "position zero", "no ULID"],
)
def test_an_ack_is_about_an_epoch_or_a_payload(change: JsonObject) -> None:
    with pytest.raises(ValidationError):
        Ack.read({**read_golden("ack"), **change})


def test_a_range_runs_forwards() -> None:
    assert SeqRange(first=3, last=3).last == 3
    with pytest.raises(ValidationError, match="last not below first; found 4 to 3"):
        SeqRange(first=4, last=3)
