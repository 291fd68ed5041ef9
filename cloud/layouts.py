"""What a venue's boxes were set to see, as the configurations they sent say it: the newest word on each id counts.

Which scenes count, which lines are entrances, and on which spaces heat maps lie. Ids are unique within a box.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import bindparam, func, select
from sqlmodel import Session

from cloud.store.tables import Layout as LayoutRow
from cloud.store.upsert import table_of
from protocol.configuration import Layout, Line, LineKind, Space, Zone

__all__ = ["KnownLayout", "Place", "VenueLayout", "known_layouts", "venue_layout"]

MAX_LAYOUTS = 200
_LAYOUT = table_of(LayoutRow)
_OF_VENUE = (
    select(_LAYOUT.c.box, _LAYOUT.c.config, _LAYOUT.c.body)
    .where(_LAYOUT.c.venue == bindparam("venue"))
    .order_by(func.coalesce(_LAYOUT.c.at_ms, 0).desc(), _LAYOUT.c.received_ms.desc(), _LAYOUT.c.seq.desc())
)

Place = tuple[str, str]
"""A box and the id of something in its layout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownLayout:
    """What a box said it was set to see, under the hash of that configuration."""

    box: str
    config: str
    layout: Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueLayout:
    """Everything known of a venue's layout, by place."""

    counting: Mapping[Place, bool]
    lines: Mapping[Place, Line]
    zones: Mapping[Place, Zone]
    spaces: Mapping[str, Space]
    camera_scenes: Mapping[Place, str]
    space_cameras: Mapping[str, Place]

    @property
    def entrances(self) -> frozenset[Place]:
        """The lines whose inward crossings make the venue's visitors."""
        return frozenset(place for place, line in self.lines.items() if line.kind is LineKind.ENTRANCE)

    @property
    def counting_scenes(self) -> frozenset[Place] | None:
        """The scenes whose visits count; None, for all, where no layout of the venue is known."""
        return frozenset(place for place, counts in self.counting.items() if counts) if self.counting else None

    @property
    def counting_cameras(self) -> frozenset[Place] | None:
        """The cameras of the scenes that count; None for all."""
        scenes = self.counting_scenes
        if scenes is None:
            return None
        return frozenset(place for place, scene in self.camera_scenes.items() if (place[0], scene) in scenes)


def known_layouts(session: Session, *, venue: str) -> Sequence[KnownLayout]:
    """All that was ever in force in a venue, the newest first; read once a session, which is one answer."""
    known: dict[str, Sequence[KnownLayout]] = session.info.setdefault("known_layouts", {})
    if venue not in known:
        rows = session.connection().execute(_OF_VENUE, {"venue": venue})
        known[venue] = [KnownLayout(box=box, config=config, layout=_read(body)) for box, config, body in rows]
    return known[venue]


def venue_layout(session: Session, *, venue: str) -> VenueLayout:
    """The layout of a venue, from its newest configurations; made once a session."""
    layouts: dict[str, VenueLayout] = session.info.setdefault("layouts", {})
    if venue not in layouts:
        layouts[venue] = _together(known_layouts(session, venue=venue)[:MAX_LAYOUTS])
    return layouts[venue]


@lru_cache(maxsize=256)
def _read(body: str) -> Layout:
    """Reading one takes longer than all else that is asked of it, and few differ."""
    return Layout.read(body)


def _together(newest_first: Sequence[KnownLayout]) -> VenueLayout:
    counting: dict[Place, bool] = {}
    lines: dict[Place, Line] = {}
    zones: dict[Place, Zone] = {}
    spaces: dict[str, Space] = {}
    camera_scenes: dict[Place, str] = {}
    space_cameras: dict[str, Place] = {}
    for row in reversed(newest_first):
        layout = row.layout
        counting |= {(row.box, scene.scene): scene.counting for scene in layout.scenes}
        lines |= {(row.box, line.line): line for line in layout.lines}
        zones |= {(row.box, zone.zone): zone for zone in layout.zones}
        spaces |= {space.space: space for space in layout.spaces}
        camera_scenes |= {(row.box, camera.camera): camera.scene for camera in layout.cameras}
        space_cameras |= {camera.space: (row.box, camera.camera) for camera in layout.cameras}
    return VenueLayout(
        counting=counting,
        lines=lines,
        zones=zones,
        spaces=spaces,
        camera_scenes=camera_scenes,
        space_cameras=space_cameras,
    )
