import hashlib
import random

import pytest

from cloud.backup import rows
from cloud.backup.rows import Piece, compressed, decompressed, pieces, rows_of


@pytest.fixture
def short_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of some twenty rows."""
    monkeypatch.setattr(rows, "ROWS_A_PIECE", 20)


def many(count: int = 2000) -> list[list[object]]:
    source = random.Random(5)
    return [[f"box-{number // 500}", number, source.random()] for number in range(count)]


def names(table: list[list[object]]) -> list[str]:
    return [piece.sha256 for piece in pieces(table)]


def test_rows_come_back_as_they_were() -> None:
    table: list[list[object]] = [
        ["ä\n\"'\\", -(2**62), 0.1, True, None, b"\x00\xff", ""],
        ["", 0, 1e300, False, 1, b"", "x"],
    ]
    (piece,) = pieces(table)
    assert (piece.rows, piece.text.count(b"\n")) == (2, 2)
    assert rows_of(piece.text) == table


def test_all_rows_are_in_some_piece_in_their_order(short_pieces: None) -> None:
    found = list(pieces(many()))
    assert [row for piece in found for row in rows_of(piece.text)] == many()
    assert 60 < len(found) < 160


def test_one_change_makes_one_or_two_pieces_new_and_leaves_all_others(short_pieces: None) -> None:
    table = many()
    before = set(names(table))
    changed = [*table[:700], ["box-1", 700, -1.0], *table[701:]]
    inserted = [*table[:700], ["box-1", 699.5, -1.0], *table[700:]]
    deleted = [*table[:700], *table[701:]]
    without_the_oldest = table[300:]
    for after in (changed, inserted, deleted, without_the_oldest, [*table, ["box-9", 1, 1.0]]):
        assert 0 < len(set(names(after)) - before) <= 2


def test_a_piece_ends_when_it_is_long_whatever_its_rows_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_BYTES", 1000)
    found = list(pieces([["x" * 400, number] for number in range(10)]))
    assert [piece.rows for piece in found] == [3, 3, 3, 1]


def test_what_json_cannot_say_is_refused() -> None:
    with pytest.raises(TypeError, match="a column holds set"):
        list(pieces([[{1}]]))


def test_a_part_that_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_TEXT_BYTES", 1000)
    assert decompressed(compressed(bytes(1000))) == bytes(1000)
    with pytest.raises(ValueError, match="it holds more than 1000 bytes"):
        decompressed(compressed(bytes(10_000_000)))


def test_what_is_wrong_with_a_file_is_said_without_its_bytes() -> None:
    for strange in (b"root:x:0:0", compressed(b"rows") + b"root"):
        with pytest.raises(ValueError, match=r"^it is ") as told:
            decompressed(strange)
        assert "root" not in str(told.value)


def test_the_same_text_is_the_same_file_and_damage_is_found() -> None:
    text = b"some rows\n" * 1000
    packed = compressed(text)
    assert packed == compressed(text)
    assert len(packed) < len(text) / 10
    assert decompressed(packed) == text
    for damaged in (packed[:-1], packed[:20] + b"\x00" + packed[21:], b"some rows"):
        with pytest.raises(ValueError, match=r"\w"):
            decompressed(damaged)
    assert Piece(text=text, rows=1000).sha256 == hashlib.sha256(text).hexdigest()
