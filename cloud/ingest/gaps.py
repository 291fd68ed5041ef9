"""What a gap lost, where a part of it had come all the same: as the box counted it, less what is here.

A box declares all that it no longer has, and cannot know what of that this database has kept.
"""

from collections import Counter

from sqlalchemy import Connection, func, select

from cloud.losses import NOTHING_LOST, lost_by_type
from cloud.store.tables import Event, GapRecord, Held
from cloud.store.upsert import table_of
from protocol.envelope import Gap, TypeCount

__all__ = ["still_lost"]

_GAP = table_of(GapRecord)


def still_lost(connection: Connection, *, box: str, gap: Gap) -> tuple[TypeCount, ...]:
    """How many of each type neither came nor were declared before."""
    here: Counter[str] = Counter()
    for table in (table_of(Event), table_of(Held)):
        came = select(table.c.type, func.count()).where(
            table.c.box == box, table.c.epoch == gap.epoch, table.c.seq.between(gap.from_seq, gap.to_seq)
        )
        here.update({kind: int(count) for kind, count in connection.execute(came.group_by(table.c.type))})
    declared = select(_GAP.c.lost_by_type).where(
        _GAP.c.box == box,
        _GAP.c.epoch == gap.epoch,
        _GAP.c.first_seq.between(gap.from_seq, gap.to_seq),
        _GAP.c.reason != NOTHING_LOST,
    )
    for counts in connection.execute(declared).scalars():
        here.update(lost_by_type(counts))
    left = ((one.type, one.count - here[one.type]) for one in gap.lost_by_type)
    return tuple(TypeCount(type=kind, count=count) for kind, count in left if count > 0)
