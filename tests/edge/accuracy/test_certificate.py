import pytest

from edge.accuracy.account import Passage
from edge.accuracy.certificate import Certificate, by_moments, by_sums, checked_of
from edge.errors import ConfigurationError
from edge.lines import Direction
from protocol.events import Checked, CheckMethod


def checked(counted: int, by_hand: int, matched: int) -> Checked:
    return Checked(counted=counted, by_hand=by_hand, matched=matched)


def certificate(**changes: object) -> Certificate:
    plain: dict[str, object] = {
        "scene": "hall",
        "camera": "door",
        "line": "entrance",
        "setup": "c" * 32,
        "model": "yolox-nano",
        "method": CheckMethod.MOMENTS,
        "length_seconds": 312,
        "inward": checked(20, 20, 20),
        "outward": checked(20, 20, 19),
    }
    return Certificate(**{**plain, **changes})  # type: ignore[arg-type]


def passages(direction: Direction, *moments: float, line: str = "entrance") -> list[Passage]:
    return [Passage(at=at, line=line, direction=direction) for at in moments]


def test_moments_are_matched_each_once_and_within_two_seconds() -> None:
    assert by_moments([1.0, 9.0, 30.0], [2.0, 2.5, 8.0, 20.0]) == checked(3, 4, 2)


@pytest.mark.parametrize(
    ("counted", "by_hand", "matched"), [(20, 20, 20), (23, 20, 20), (17, 20, 17), (0, 20, 0), (3, 0, 0)]
)
def test_of_sums_as_many_are_the_same_as_there_can_be(counted: int, by_hand: int, matched: int) -> None:
    assert by_sums(counted, by_hand) == checked(counted, by_hand, matched)


def test_a_line_is_judged_by_its_own_crossings_each_way() -> None:
    counted = [*passages("in", 1.0, 5.0), *passages("out", 9.0), *passages("in", 7.0, line="back")]
    by_hand = [*passages("in", 1.5), *passages("out", 9.0, 20.0), *passages("in", 7.0, line="back")]
    assert checked_of(counted, by_hand, line="entrance") == {"inward": checked(2, 1, 1), "outward": checked(1, 2, 1)}


def test_a_direction_in_which_nobody_went_is_left_open_and_one_that_nobody_was_found_in_is_not() -> None:
    ways = checked_of(passages("in", 1.0), passages("out", 9.0), line="entrance")
    assert ways == {"inward": None, "outward": checked(0, 1, 0)}


def test_it_leaves_the_box_by_the_door_and_is_read_again() -> None:
    one = certificate(outward=None)
    item = one.item()
    assert item["type"] == "camera-certificate"
    assert item["in"] == {"counted": 20, "by_hand": 20, "matched": 20}
    assert "out" not in item
    assert Certificate.read(item) == one


@pytest.mark.parametrize("item", [{}, None, {**certificate().item(), "setup": "../../etc"}, {"line": "entrance"}])
def test_what_is_none_is_refused(item: object) -> None:
    with pytest.raises(ConfigurationError, match="found no certificate"):
        Certificate.read(item)


def test_it_shows_recall_and_precision_with_wilsons_intervals() -> None:
    table = list(certificate(outward=checked(20, 21, 19)).lines())
    assert table == [
        "entrance of camera door, yolox-nano, 5 min 12 s, matched by moments",
        "       counted  by hand                 found                 right",
        "  in        20       20   20 of 20 (84–100 %)   20 of 20 (84–100 %)",
        "  out       20       21    19 of 21 (71–97 %)    19 of 20 (76–99 %)",
    ]


def test_it_says_what_sums_cannot_tell_and_when_there_were_few() -> None:
    told = " ".join(certificate(method=CheckMethod.TOTALS, inward=checked(5, 4, 4)).lines())
    assert "by sums alone" in told
    assert "the best that can be" in told
    assert "Fewer than 20 crossings" in told
    assert "Fewer than 20" not in " ".join(certificate().lines())
