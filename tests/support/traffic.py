"""What a network may do to a box's envelopes, for hypothesis to choose from: repeat, overlap, reorder, split."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from tests.support.envelopes import NOW, JsonObject, camera_health, crossing, gap, item, occupancy, tile, visit

__all__ = ["EPOCHS", "Sent", "Traffic", "traffic"]

EPOCHS = ("a" * 16, "b" * 16)
Sent = tuple[str, list[int], list[JsonObject]]
"""An envelope: its epoch, the seqs of its items, its gaps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Items by epoch and seq, and the envelopes that carry them in the end, in batches."""

    items: dict[tuple[str, int], JsonObject]
    gaps: list[JsonObject]
    batches: list[list[Sent]]


_seconds = st.integers(0, 40_000).map(lambda tenths: tenths / 10)
_moments = st.one_of(st.integers(0, 3 * 86_400 // 10).map(lambda steps: NOW - timedelta(seconds=10 * steps)), st.none())
_ids = st.sampled_from(["one", "two"])
_lines = st.tuples(_ids, st.integers(0, 9), st.integers(0, 9)).map(lambda t: {"line": t[0], "in": t[1], "out": t[2]})
_some_lines = st.lists(_lines, min_size=1, max_size=2)


def _make(seq_free: Callable[..., JsonObject], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[JsonObject]:
    return st.fixed_dictionaries({"at": _moments, **fields}).map(lambda drawn: seq_free(1, **drawn))


_visits = _make(
    visit,
    scene=_ids,
    dwell_seconds=_seconds,
    began=st.sampled_from(["entered", "appeared", "resumed", "continued", "teleported"]),
    ended=st.sampled_from(["left", "lost", "interrupted", "split", "dissolved"]),
    zones=st.lists(st.fixed_dictionaries({"zone": _ids, "seconds": _seconds}), max_size=2),
)
_occupancies = _make(
    occupancy,
    scene=_ids,
    drift=st.one_of(st.none(), st.integers(-3, 3)),
    inside=st.one_of(st.none(), st.integers(-3, 9)),
    cameras=st.lists(
        st.fixed_dictionaries(
            {
                "camera": _ids,
                "watched_seconds": _seconds,
                "analysed_frames": st.integers(0, 900),
                "dropped_frames": st.integers(0, 9),
                "person_seconds": _seconds,
                "max_people": st.integers(0, 9),
            }
        ),
        min_size=1,
        max_size=2,
    ),
)
_tiles = st.builds(
    lambda at, layer, length, cells, tx: tile(
        1, at=at, layer=layer, length_seconds=length, tx=tx,
        cells=sorted(cells), values=[cells[cell] for cell in sorted(cells)],
    ),
    _moments,
    st.sampled_from(["presence", "entries", "flow"]),
    st.sampled_from([60, 900, 3600, 7200, 86_400]),
    st.dictionaries(st.integers(0, 1023), st.integers(1, 500), min_size=1, max_size=4),
    st.sampled_from([-1, 0]),
)  # fmt: skip
_queues = st.builds(
    lambda at, waits, served: item(
        1, "queue", at=at, scene="floor",
        queues=[
            {
                "zone": "till", "mean_length": 1.25, "max_length": served,
                "waits": waits, "served": served, "abandoned": 1,
            }
        ],
    ),
    _moments,
    st.lists(st.integers(0, 3), min_size=24, max_size=24),
    st.integers(0, 5),
)  # fmt: skip
_items = st.one_of(
    _visits,
    _occupancies,
    _tiles,
    _queues,
    st.builds(lambda at, lines: item(1, "crossing", at=at, scene="floor", lines=lines), _moments, _some_lines),
    st.builds(
        lambda at, lines: item(1, "staff", at=at, scene="floor", length_seconds=900, lines=lines), _moments, _some_lines
    ),
    st.builds(lambda at: camera_health(1, at=at), _moments),
    st.just(item(1, "novelty", anything="else")),
    st.just(visit(1, dwell_seconds=-1)),
    st.just(visit(1, at=NOW + timedelta(days=1))),
    st.just({**crossing(1), "venue": "elsewhere"}),
)  # fmt: skip


@st.composite
def traffic(draw: st.DrawFn) -> Traffic:
    items: dict[tuple[str, int], JsonObject] = {}
    for epoch in EPOCHS:
        for seq, one in enumerate(draw(st.lists(_items, max_size=12)), 1):
            items[epoch, seq] = {**one, "seq": seq}
    spans = st.tuples(st.sampled_from(EPOCHS), st.integers(1, 16), st.integers(0, 4))
    gaps = [gap(first, first + more, epoch=epoch) for epoch, first, more in draw(st.lists(spans, max_size=4))]
    envelopes: list[Sent] = []
    for epoch in EPOCHS:
        own = [seq for name, seq in items if name == epoch]
        chosen = draw(st.lists(st.lists(st.sampled_from(own), unique=True, max_size=6), max_size=5)) if own else []
        chosen.append(own)
        envelopes += [(epoch, seqs, []) for seqs in chosen]
    envelopes += [(EPOCHS[0], [], [declared]) for declared in gaps for _ in range(draw(st.integers(1, 2)))]
    shuffled = draw(st.permutations(envelopes))
    batches: list[list[Sent]] = [[]]
    for one in shuffled:
        if draw(st.booleans()):
            batches.append([])
        batches[-1].append(one)
    return Traffic(items=items, gaps=gaps, batches=[batch for batch in batches if batch])
