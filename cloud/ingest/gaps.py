"""What a gap lost, where a part of it had come all the same: as the box counted it, less what came.

A box declares all that it no longer has, and cannot know what of that this database has taken in. What came is counted
by its rows, and once they have aged out by the counts that they leave behind, one for each type and block of seqs.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Final

from sqlalchemy import BigInteger, Connection, cast, func, null, select, union_all

from cloud.losses import NOTHING_LOST, lost_by_type
from cloud.store.tables import Event, Forgotten, GapRecord, Held
from cloud.store.upsert import add_to, table_of
from protocol.envelope import Gap, TypeCount

__all__ = ["note_forgotten", "still_lost"]

SEQS_A_BLOCK: Final = 1024
"""Where a gap ends within a block, how many came of each type is by the block's mixture; how many in all is known."""
_FORGOTTEN, _GAP = table_of(Forgotten), table_of(GapRecord)


def still_lost(connection: Connection, *, box: str, gap: Gap, new_seqs: int) -> tuple[TypeCount, ...]:
    """How many of each type neither came nor were declared before, of the `new_seqs` that did neither."""
    came, at_ends = _came(connection, box, gap)
    came.update(_declared(connection, box, gap))
    left = Counter({one.type: max(0, one.count - came[one.type]) for one in gap.lost_by_type})
    excess = max(0, left.total() - new_seqs)
    shares = [(kind, math.ceil(excess * count / at_ends.total())) for kind, count in at_ends.most_common()]
    for kind, most in [*shares, *left.most_common()]:
        left[kind] -= max(0, min(left[kind], most, left.total() - new_seqs))
    return tuple(TypeCount(type=one.type, count=left[one.type]) for one in gap.lost_by_type if left[one.type])


def note_forgotten(connection: Connection, items: Iterable[tuple[str, str, int, str]]) -> None:
    """Count items whose rows go, by box, epoch, seq and type, in the transaction in which they do."""
    counts = Counter((box, epoch, seq - (seq - 1) % SEQS_A_BLOCK, kind) for box, epoch, seq, kind in items)
    rows = [
        {"box": box, "epoch": epoch, "first_seq": first_seq, "type": kind, "value": value}
        for (box, epoch, first_seq, kind), value in sorted(counts.items())
    ]
    add_to(connection, Forgotten, rows)


def _came(connection: Connection, box: str, gap: Gap) -> tuple[Counter[str], Counter[str]]:
    """What came of each type; and what aged out of the blocks in which the gap begins and ends, within it or beside it.

    One statement, so that an item whose row goes just now is seen once.
    """
    forgotten = select(_FORGOTTEN.c.type, _FORGOTTEN.c.value, _FORGOTTEN.c.first_seq).where(
        _FORGOTTEN.c.box == box,
        _FORGOTTEN.c.epoch == gap.epoch,
        _FORGOTTEN.c.first_seq.between(gap.from_seq - SEQS_A_BLOCK + 1, gap.to_seq),
    )
    rows = (
        select(table.c.type, func.count(), cast(null(), BigInteger))
        .where(table.c.box == box, table.c.epoch == gap.epoch, table.c.seq.between(gap.from_seq, gap.to_seq))
        .group_by(table.c.type)
        for table in (table_of(Event), table_of(Held))
    )
    came, at_ends = Counter[str](), Counter[str]()
    for kind, value, first_seq in connection.execute(union_all(forgotten, *rows)):
        is_within = first_seq is None or gap.from_seq <= first_seq <= gap.to_seq - SEQS_A_BLOCK + 1
        (came if is_within else at_ends)[kind] += int(value)
    return came, at_ends


def _declared(connection: Connection, box: str, gap: Gap) -> Counter[str]:
    """What gaps within this one were said to have lost."""
    declared = select(_GAP.c.lost_by_type).where(
        _GAP.c.box == box,
        _GAP.c.epoch == gap.epoch,
        _GAP.c.first_seq.between(gap.from_seq, gap.to_seq),
        _GAP.c.reason != NOTHING_LOST,
    )
    counts = Counter[str]()
    for text in connection.execute(declared).scalars():
        counts.update(lost_by_type(text))
    return counts
