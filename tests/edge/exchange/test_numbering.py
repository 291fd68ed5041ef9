from collections import Counter
from pathlib import Path

import pytest

from edge.exchange.numbering import Lost, declare, spans
from edge.exchange.schema import writing
from protocol.envelope import GapReason
from tests.support.exchange import Exchange

EPOCH = f"{1:016x}"
DROPPED, MERGED, QUARANTINED = GapReason.DROPPED, GapReason.MERGED, GapReason.QUARANTINED


def lost(*seqs: int, kind: str = "visit") -> list[Lost]:
    return [(seq, kind, 1000 * seq) for seq in seqs]


def test_what_is_consecutive_is_one_span() -> None:
    found = spans([*lost(4, 2, 3), *lost(5, kind="tile"), (7, "visit", None)])
    assert [(span.first, span.last, span.start_ms, span.end_ms, span.counts) for span in found] == [
        (2, 5, 2000, 5000, Counter(visit=3, tile=1)),
        (7, 7, None, None, Counter(visit=1)),
    ]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        pytest.param((DROPPED, [1, 2]), (DROPPED, [3]), [(1, 3, "dropped", 3)], id="neighbours, after"),
        pytest.param((DROPPED, [3]), (DROPPED, [1, 2]), [(1, 3, "dropped", 3)], id="neighbours, before"),
        pytest.param((DROPPED, [1, 3]), (DROPPED, [2]), [(1, 3, "dropped", 3)], id="what fills a hole"),
        pytest.param((DROPPED, [1]), (DROPPED, [3]), [(1, 1, "dropped", 1), (3, 3, "dropped", 1)], id="no neighbours"),
        pytest.param((MERGED, [1, 2]), (DROPPED, [3]), [(1, 3, "dropped", 1)], id="dropped after merged"),
        pytest.param((DROPPED, [3]), (MERGED, [1, 2]), [(1, 3, "dropped", 1)], id="merged before dropped"),
        pytest.param((DROPPED, [1, 4]), (MERGED, [2, 3]), [(1, 4, "dropped", 2)], id="merged between dropped"),
        pytest.param((MERGED, [1, 4]), (DROPPED, [2, 3]), [(1, 4, "dropped", 2)], id="dropped between merged"),
        pytest.param((MERGED, [1]), (MERGED, [2]), [(1, 2, "merged", 2)], id="merged beside merged"),
        pytest.param(
            (QUARANTINED, [1]), (DROPPED, [2]), [(1, 1, "quarantined", 1), (2, 2, "dropped", 1)], id="other reasons"
        ),
    ],
)
def test_gaps_not_yet_sent_are_declared_together(
    tmp_path: Path,
    first: tuple[GapReason, list[int]],
    second: tuple[GapReason, list[int]],
    expected: list[tuple[int, int, str, int]],
) -> None:
    exchange = Exchange(folder=tmp_path)
    with exchange.writer() as writer, writing(writer._connection) as connection:
        for reason, seqs in (first, second):
            declare(connection, EPOCH, reason=reason, lost=lost(*seqs))
    assert [(begin, end, reason, counts.total()) for _, begin, end, reason, counts in exchange.gaps()] == expected


def test_gaps_of_two_epochs_stay_apart(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with exchange.writer() as writer, writing(writer._connection) as connection:
        declare(connection, EPOCH, reason=DROPPED, lost=lost(1))
        declare(connection, "f" * 16, reason=DROPPED, lost=lost(2))
    assert len(exchange.gaps()) == 2
