import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud.web.bars import BASELINE_PX, LEFT_PERCENT, TOP_PX, HourCount, chart


def hours(*visitors: int | None) -> list[HourCount]:
    return [
        HourCount(label=f"{hour:02}", visitors=count, is_running=False, is_unsure=False)
        for hour, count in enumerate(visitors)
    ]


@pytest.mark.parametrize(("greatest", "top"), [(0, 10), (7, 10), (10, 10), (11, 20), (44, 50), (51, 80), (101, 200)])
def test_the_scale_ends_at_a_round_number(greatest: int, top: int) -> None:
    assert [tick.value for tick in chart(hours(greatest)).ticks] == [0, top // 2, top]


def test_what_lies_ahead_has_a_place_and_no_bar() -> None:
    drawn = chart(hours(4, None))
    assert [bar.height > 0 for bar in drawn.bars] == [True, False]


def test_one_visitor_in_a_busy_day_is_still_seen() -> None:
    assert chart(hours(1, 9999)).bars[0].height >= 3


def test_only_the_first_of_the_greatest_is_named() -> None:
    assert [bar.is_greatest for bar in chart(hours(3, 9, 9)).bars] == [False, True, False]
    assert not any(bar.is_greatest for bar in chart(hours(0, 0)).bars)


@given(st.lists(st.none() | st.integers(0, 1_000_000), min_size=1, max_size=25))
def test_all_stays_within_the_drawing_in_the_order_of_the_numbers(visitors: list[int | None]) -> None:
    drawn = chart(hours(*visitors))
    for bar in drawn.bars:
        assert LEFT_PERCENT <= bar.column_x <= bar.x
        assert bar.x + bar.width <= 100.01
        assert TOP_PX <= bar.y <= BASELINE_PX == bar.y + bar.height
    by_count = sorted(drawn.bars, key=lambda bar: bar.hour.visitors or 0)
    heights = [bar.height for bar in by_count]
    assert heights == sorted(heights)


def test_a_closed_day_is_an_empty_drawing() -> None:
    assert chart([]).bars == ()
