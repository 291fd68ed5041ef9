"""What the pages show: read in one session from the same functions as the API, and put into words.

Nothing is computed here that the API would not say too.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from cloud.analytics import Summary, summary, visitors
from cloud.boxes import BoxFigures, list_boxes
from cloud.cameras import CameraFigures, list_cameras
from cloud.live import Freshness, LiveFigures, live_figures
from cloud.opening import scheduled_ms_by_bucket
from cloud.periods import Period, Step, day_of, local_parts
from cloud.places import ZoneFigures, zones
from cloud.series import PartFigures, series
from cloud.store.moments import from_ms
from cloud.store.tables import Venue
from cloud.venues import hours_of, list_venues, zone_of
from cloud.web import bars, wording
from cloud.web.bars import Chart, HourCount
from cloud.web.maps import HeatMaps, heat_maps
from cloud.web.wording import Condition
from protocol.status import BoxState

__all__ = [
    "BoxView",
    "CameraView",
    "HourView",
    "Listing",
    "VenueCard",
    "VenueView",
    "ZoneView",
    "listing",
    "venue_view",
]

PAGE_OF_VENUES = 60
MOST_BOXES = 100
SURE_FRACTION = 0.95
"""An hour of which less was watched is marked in the chart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueCard:
    """A venue in the list."""

    venue: str
    name: str
    place: str
    opening: str
    live: LiveFigures
    visitors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Venues in the order of their ids; `after` leads to those that follow."""

    cards: tuple[VenueCard, ...]
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HourView:
    """An hour as a row of the table."""

    label: str
    visitors: str
    stay: str
    in_view: str
    watched: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneView:
    """A zone today; `share_percent` is of the time that people spent in all zones."""

    key: str
    name: str
    now: int | None
    visits: int
    stay: str
    share_percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraView:
    """A camera and how it does."""

    name: str
    condition: Condition
    watched: str
    watched_percent: float
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxView:
    """A box, how it does, and its cameras."""

    name: str
    condition: Condition
    cameras: tuple[CameraView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueView:
    """Everything on a venue's page."""

    venue: str
    name: str
    place: str
    opening: str
    clock: str
    timezone: str
    live: LiveFigures
    summary: Summary
    visitors_range: str
    stay: str
    busiest: str
    in_view: str
    chart: Chart
    hours: tuple[HourView, ...]
    has_unsure_hours: bool
    has_cameras: bool
    zones: tuple[ZoneView, ...]
    maps: HeatMaps
    boxes: tuple[BoxView, ...]
    honesty: tuple[str, ...]
    soundness: Condition


def listing(session: Session, *, granted: Collection[str] | None, after: str | None, now_ms: int) -> Listing:
    """The venues in use of those granted (None: all), as many as a page holds."""
    rows = list_venues(session, granted=granted, archived=False, after=after, limit=PAGE_OF_VENUES)
    cards = tuple(_card(session, row, now_ms=now_ms) for row in rows)
    return Listing(cards=cards, after=rows[-1].venue if len(rows) == PAGE_OF_VENUES else None)


def venue_view(session: Session, *, venue: Venue, now_ms: int) -> VenueView:
    """A venue now and today."""
    zone = zone_of(venue)
    now, today = from_ms(now_ms).astimezone(zone), day_of(now_ms, zone=zone)
    live = live_figures(session, venue=venue, now_ms=now_ms)
    figures = summary(session, venue=venue, period=today, now_ms=now_ms)
    boxes = list_boxes(session, granted=None, venue=venue.venue, after=None, limit=MOST_BOXES)
    cameras = list_cameras(session, venue=venue, now_ms=now_ms)
    by_hour = series(session, venue=venue, period=today, step=Step.HOUR, now_ms=now_ms)
    shown = _shown_hours(by_hour.parts, venue=venue, today=today)
    counts = tuple(_count(hour, now=now) for hour in shown)
    peak = figures.peak_hour
    return VenueView(
        venue=venue.venue,
        name=venue.name,
        place=_place(venue),
        opening=wording.opening_now(hours_of(venue), now=now),
        clock=f"{now:%H:%M}",
        timezone=venue.timezone,
        live=live,
        summary=figures,
        visitors_range=wording.between(figures.interval),
        stay=wording.duration(figures.dwell.p50_seconds),
        busiest=_clock(peak.hour) if peak else wording.UNKNOWN,
        in_view=_people(figures.occupancy.mean),
        chart=bars.chart(counts),
        hours=tuple(_hour_view(hour) for hour, count in zip(shown, counts, strict=True) if count.visitors is not None),
        has_unsure_hours=any(count.is_unsure for count in counts),
        has_cameras=bool(cameras),
        zones=_zones(zones(session, venue=venue, period=today).zones, live=live),
        maps=heat_maps(session, venue=venue, today=today),
        boxes=_boxes(boxes, cameras, now_ms=now_ms),
        honesty=_honesty(figures, cameras=len(cameras)),
        soundness=wording.soundness(
            figures.coverage, cameras=len(cameras), lost_items=figures.gaps.lost_items, enough=SURE_FRACTION
        ),
    )


def _card(session: Session, row: Venue, *, now_ms: int) -> VenueCard:
    zone = zone_of(row)
    return VenueCard(
        venue=row.venue,
        name=row.name,
        place=_place(row),
        opening=wording.opening_now(hours_of(row), now=from_ms(now_ms).astimezone(zone)),
        live=live_figures(session, venue=row, now_ms=now_ms),
        visitors=visitors(session, venue=row.venue, period=day_of(now_ms, zone=zone)),
    )


def _place(row: Venue) -> str:
    return ", ".join(part for part in (row.city, row.country) if part)


def _people(mean: float | None) -> str:
    return wording.UNKNOWN if mean is None else f"{mean:.1f}"


def _clock(hour: str) -> str:
    return f"{datetime.fromisoformat(hour):%H:%M}"


def _shown_hours(hours: Sequence[PartFigures], *, venue: Venue, today: Period) -> Sequence[PartFigures]:
    """From the first hour in which it is open, or anyone came, to the last."""
    zone = zone_of(venue)
    scheduled = scheduled_ms_by_bucket(hours_of(venue), period=today, until_ms=today.end_ms, zone=zone)
    is_open = [
        any(bucket in scheduled for bucket in local.buckets) for local in local_parts(today, zone=zone, step=Step.HOUR)
    ]
    worth = [index for index, hour in enumerate(hours) if is_open[index] or hour.visitors or hour.visits]
    return hours[worth[0] : worth[-1] + 1] if worth else ()


def _count(hour: PartFigures, *, now: datetime) -> HourCount:
    begins = datetime.fromisoformat(hour.start)
    is_ahead, is_running = begins > now, begins <= now and (now - begins).total_seconds() < wording.HOUR
    fraction = hour.coverage.fraction
    return HourCount(
        label=f"{begins:%H}",
        visitors=None if is_ahead else hour.visitors,
        is_running=is_running,
        is_unsure=not is_ahead and fraction is not None and fraction < SURE_FRACTION,
    )


def _hour_view(hour: PartFigures) -> HourView:
    return HourView(
        label=_clock(hour.start),
        visitors=wording.number(hour.visitors),
        stay=wording.duration(hour.mean_dwell_seconds),
        in_view=_people(hour.occupancy.mean),
        watched=wording.share(hour.coverage.fraction),
    )


def _zones(figures: Sequence[ZoneFigures], *, live: LiveFigures) -> tuple[ZoneView, ...]:
    """The zones in which people spent most time first."""
    spoken = () if live.freshness is Freshness.STALE else live.zones
    now = {(zone.box, zone.zone): zone.people for zone in spoken}
    total = sum(zone.person_seconds for zone in figures)
    return tuple(
        ZoneView(
            key=f"{zone.box}/{zone.zone}",
            name=wording.plain_name(zone.zone),
            now=now.get((zone.box, zone.zone)),
            visits=zone.visits,
            stay=wording.duration(zone.dwell.p50_seconds),
            share_percent=round(100 * zone.person_seconds / total, 1) if total else 0,
        )
        for zone in sorted(figures, key=lambda zone: (-zone.person_seconds, zone.zone))
    )


def _boxes(boxes: Sequence[BoxFigures], cameras: Sequence[CameraFigures], *, now_ms: int) -> tuple[BoxView, ...]:
    by_box: Mapping[str, list[CameraFigures]] = {box.box: [] for box in boxes}
    for camera in cameras:
        if camera.box in by_box:
            by_box[camera.box].append(camera)
    return tuple(_box(box, by_box[box.box], now_ms=now_ms) for box in boxes)


def _box(box: BoxFigures, cameras: Sequence[CameraFigures], *, now_ms: int) -> BoxView:
    heard = None if box.last_seen is None else datetime.fromisoformat(box.last_seen)
    silent = None if heard is None else max(0.0, (from_ms(now_ms) - heard).total_seconds())
    return BoxView(
        name=wording.plain_name(box.box),
        condition=wording.box_condition(
            box.state,
            vision=box.vision,
            waiting=box.waiting,
            oldest_seconds=box.oldest_waiting_seconds,
            silent_seconds=silent,
        ),
        cameras=tuple(_camera(camera, box_is_silent=box.state == BoxState.OFFLINE) for camera in cameras),
    )


def _camera(camera: CameraFigures, *, box_is_silent: bool) -> CameraView:
    return CameraView(
        name=wording.plain_name(camera.camera),
        condition=wording.camera_condition(camera.state, camera.reason, box_is_silent=box_is_silent),
        watched=wording.share(camera.today.fraction),
        watched_percent=round(100 * (camera.today.fraction or 0), 1),
        checks=tuple(wording.certificate_sentence(certificate) for certificate in camera.certificates),
    )


def _honesty(figures: Summary, *, cameras: int) -> tuple[str, ...]:
    withheld = max(figures.undisclosed.flow, figures.undisclosed.attention, figures.undisclosed.demographics)
    sentences = (
        wording.coverage_sentence(figures.coverage, cameras=cameras),
        wording.loss_sentence(figures.gaps.lost_items, figures.gaps.lost_by_reason) if cameras else "",
        wording.counting_rule(figures.counted_by),
        wording.basis_sentence(figures.interval.rests_on) if cameras else "",
        wording.withheld_sentence(withheld) if withheld else "",
    )
    return tuple(sentence for sentence in sentences if sentence)
