"""Events as they came, page by page or as one long CSV: in the order of time, behind a cursor that names the last one.

Items without a place in time belong to no period and are not among them. Text in a CSV that a spreadsheet would take
for a formula is disarmed.
"""

import base64
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import JsonValue
from sqlalchemy import ColumnElement, Connection, Engine, and_, or_, select
from sqlmodel import Session

from cloud.errors import Invalid
from cloud.periods import Period
from cloud.store.engine import reading
from cloud.store.moments import from_ms
from cloud.store.tables import Event
from cloud.store.upsert import table_of
from protocol.catalogue import ITEM_TYPES
from protocol.events import Item
from protocol.wire import JsonObject, format_utc

__all__ = ["MAX_PAGE", "EventPage", "EventQuery", "StoredEvent", "csv_lines", "event_page"]

MAX_PAGE = 1_000
_EVENTS = table_of(Event)
_COLUMNS = ("box", "epoch", "seq", "type", "scene", "config", "at_ms", "received_ms", "body")
_FIXED = ("at", "type", "box", "epoch", "seq", "scene", "config", "received_at")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")

_NO_CURSOR = "`cursor` must be one that an answer gave as `next`"
_ENCODER = json.JSONEncoder(separators=(",", ":"))

Cursor = tuple[int, str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """An item as the box sent it, and when it was received; `(box, epoch, seq)` names it for ever."""

    box: str
    epoch: str
    received_at: str
    item: dict[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """Some events in the order of time; `next` is the cursor behind the last, null at the end."""

    events: tuple[StoredEvent, ...]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """Which events: of a venue and a period, of one type or of all."""

    venue: str
    period: Period
    type: str | None


class _Row(NamedTuple):
    """A row of an event, in the order of the columns."""

    box: str
    epoch: str
    seq: int
    type: str
    scene: str | None
    config: str
    at_ms: int
    received_ms: int
    body: str

    @property
    def cursor(self) -> Cursor:
        return self.at_ms, self.box, self.epoch, self.seq


def event_page(session: Session, *, query: EventQuery, cursor: str | None, limit: int) -> EventPage:
    """The events behind a cursor, or the first ones."""
    after = _read_cursor(cursor) if cursor else None
    rows = _rows(session.connection(), query, after=after, limit=limit + 1)
    page = rows[:limit]
    return EventPage(
        events=tuple(
            StoredEvent(
                box=row.box,
                epoch=row.epoch,
                received_at=format_utc(from_ms(row.received_ms)),
                item=json.loads(row.body),
            )
            for row in page
        ),
        next=_write_cursor(page[-1].cursor) if len(rows) > limit else None,
    )


def csv_lines(
    engine: Engine, *, query: EventQuery, limit: int | None, require: Callable[[Session], None]
) -> Iterator[str]:
    """All events of a period as CSV, a page at a time, each page in a short transaction of its own.

    Before each page `require` is asked, which raises once whoever reads may read no more: so the answer breaks off.
    With a type, every field of that item has its column; else the item stands whole in the last one.
    """
    model = ITEM_TYPES.get(query.type or "")
    fields = _fields(model)
    yield _csv_text([[*_FIXED, *fields]])
    after: Cursor | None = None
    left = limit
    while left is None or left > 0:
        with reading(engine) as connection, Session(connection) as session:
            require(session)
            rows = _rows(connection, query, after=after, limit=min(MAX_PAGE, left or MAX_PAGE))
        yield _csv_text(_cells(row, fields, is_known=model is not None) for row in rows)
        if len(rows) < min(MAX_PAGE, left or MAX_PAGE):
            return
        after, left = rows[-1].cursor, None if left is None else left - len(rows)


def _fields(model: type[Item] | None) -> tuple[str, ...]:
    if model is None:
        return ("item",)
    names = (field.alias or name for name, field in model.model_fields.items())
    return tuple(name for name in names if name not in {*_FIXED, "venue", "schema", "earliest", "latest"})


def _rows(connection: Connection, query: EventQuery, *, after: Cursor | None, limit: int) -> list[_Row]:
    order = (_EVENTS.c.at_ms, _EVENTS.c.box, _EVENTS.c.epoch, _EVENTS.c.seq)
    conditions = [
        _EVENTS.c.venue == query.venue,
        _EVENTS.c.at_ms >= (after[0] if after else query.period.start_ms),
        _EVENTS.c.at_ms < query.period.end_ms,
    ]
    if query.type is not None:
        conditions.append(_EVENTS.c.type == query.type)
    if after is not None:
        conditions.append(_behind(order, after))
    statement = select(*(_EVENTS.c[name] for name in _COLUMNS)).where(*conditions).order_by(*order).limit(limit)
    return [_Row(*row) for row in connection.execute(statement).all()]


def _behind(order: Sequence[ColumnElement[object]], after: Cursor) -> ColumnElement[bool]:
    """Greater than a key, column by column."""
    return or_(
        *(
            and_(
                *(column == value for column, value in zip(order[:index], after[:index], strict=True)),
                order[index] > after[index],
            )
            for index in range(len(order))
        )
    )


def _cells(row: _Row, fields: Sequence[str], *, is_known: bool) -> list[JsonValue]:
    item: JsonObject = json.loads(row.body)
    fixed: list[JsonValue] = [
        format_utc(from_ms(row.at_ms)), row.type, row.box, row.epoch, row.seq, row.scene, row.config,
        format_utc(from_ms(row.received_ms)),
    ]  # fmt: skip
    return [*fixed, *((item.get(name) for name in fields) if is_known else [item])]


def _csv_text(lines: Iterable[Sequence[JsonValue]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([_csv_cell(cell) for cell in cells] for cells in lines)
    return out.getvalue()


def _csv_cell(value: JsonValue) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(_FORMULA_STARTS) else value
    return repr(value) if type(value) is int else _ENCODER.encode(value)


def _write_cursor(cursor: Cursor) -> str:
    return base64.urlsafe_b64encode(json.dumps(cursor, separators=(",", ":")).encode()).decode().rstrip("=")


def _read_cursor(text: str) -> Cursor:
    try:
        found = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        match found:
            case [int(at_ms), str(box), str(epoch), int(seq)] if _is_key(at_ms, box, epoch, seq):
                return at_ms, box, epoch, seq
    except (ValueError, RecursionError) as error:
        raise Invalid(_NO_CURSOR) from error
    raise Invalid(_NO_CURSOR)


def _is_key(at_ms: int, box: str, epoch: str, seq: int) -> bool:
    """Whether the database can be asked for it; true is an int, and JSON has characters that are none."""
    return (
        all(type(number) is int and -(2**62) < number < 2**62 for number in (at_ms, seq))
        and (box + epoch).isascii()
        and "\0" not in box + epoch
    )
