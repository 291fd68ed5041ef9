"""What happened in a small shop, as plain tuples to count: for figures that a slow recount has to equal."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import JsonValue

from tests.support.api import Api
from tests.support.envelopes import JsonObject, crossing, item, occupancy, visit

__all__ = ["World", "happenings", "layout", "send"]


def layout(seq: int, *, at: datetime, entrance: bool = False, storage: bool = True) -> JsonObject:
    """A scene that counts and one that does not, a camera in each, a door and a shelf."""
    scenes: list[JsonValue] = [{"scene": "floor", "counting": True}]
    cameras: list[JsonValue] = [{"camera": "cam-1", "scene": "floor", "space": "ground-1"}]
    if storage:
        scenes.append({"scene": "storage", "counting": False})
        cameras.append({"camera": "cam-2", "scene": "storage", "space": "ground-1"})
    at_floor: JsonObject = {"scene": "floor", "camera": "cam-1", "coordinates": "floor"}
    return item(
        seq,
        "configuration",
        at=at,
        layout={
            "mode": "statistics",
            "k": 5,
            "scenes": scenes,
            "cameras": cameras,
            "spaces": [{"space": "ground-1", "coordinates": "floor", "floor": "ground", "cell": 0.5}],
            "lines": [
                {"line": "door", "kind": "entrance" if entrance else "interior", "a": [0, 0], "b": [2, 0], **at_floor}
            ],
            "zones": [
                {"zone": "shelf", "kind": "area", "polygon": [[0, 0], [1, 0], [1, 1]], **at_floor},
                {"zone": "never-entered", "kind": "queue", "polygon": [[5, 5], [6, 5], [6, 6]], **at_floor},
            ],
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What happened, as plain tuples to count."""

    visits: list[tuple[datetime, str, str, float]]
    crossings: list[tuple[datetime, int, int]]
    minutes: list[tuple[datetime, float, float, int]]

    def items(self) -> Iterator[JsonObject]:
        for at, scene, began, dwell in self.visits:
            yield visit(
                0, at=at, scene=scene, began=began, dwell_seconds=dwell, zones=[{"zone": "shelf", "seconds": dwell / 2}]
            )
        for at, inward, outward in self.crossings:
            yield crossing(0, at=at, inward=inward, outward=outward)
        for at, watched, person_seconds, peak in self.minutes:
            camera: JsonObject = {
                "camera": "cam-1",
                "watched_seconds": watched,
                "analysed_frames": 300,
                "dropped_frames": 0,
                "person_seconds": person_seconds,
                "max_people": peak,
            }
            zone: JsonObject = {"zone": "shelf", "person_seconds": person_seconds, "max_people": peak}
            yield occupancy(0, at=at, cameras=[camera], zones=[zone])


def happenings(*, seed: int, start: datetime, end: datetime) -> World:
    """A seeded world between two moments; the camera is blind now and then."""
    rng, span = random.Random(seed), (end - start).total_seconds()
    moments = [start + timedelta(seconds=rng.randrange(int(span) // 10) * 10) for _ in range(150)]
    minutes = [start + timedelta(minutes=minute) for minute in range(int(span) // 60) if rng.random() > 0.2]
    return World(
        visits=[
            (
                at,
                rng.choice(["floor", "floor", "storage"]),
                rng.choice(["entered", "appeared", "resumed"]),
                rng.randrange(1, 900),
            )
            for at in moments
        ],
        crossings=[(at, rng.randrange(4), rng.randrange(4)) for at in rng.sample(moments, 60)],
        minutes=[(at, 60.0, rng.randrange(0, 1200) / 10, rng.randrange(1, 9)) for at in minutes],
    )


def send(api: Api, key: str, items: Sequence[JsonObject]) -> None:
    for start in range(0, len(items), 100):
        chunk = [{**one, "seq": start + offset + 1} for offset, one in enumerate(items[start : start + 100])]
        api.send(key, *chunk)
