"""First light: a real camera in at one end, a venue's numbers out at the other, with every process real.

GStreamer's RTSP server shows PETS 2009 S2.L1 (19 people); vision and uplink, mosquitto, ingest and API run as
processes, into SQLite and into PostgreSQL at once, and beside them in the usual mode.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.mot import People, people_in, read_mot
from tests.support.postgres import PostgresServer
from tests.support.processes import until
from tests.support.product import BOX, VENUE, Box, Camera, Cloud
from tests.support.rtsp_server import RtspServer, prepared_film

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.assets,
    pytest.mark.needs_gstreamer,
    pytest.mark.needs_mosquitto,
    pytest.mark.needs_postgres,
    pytest.mark.timeout(600),
]

DATABASES = ("sqlite", "postgresql")
STATISTICS = "statistics"
"""A third installation, into SQLite, whose box lets out only what the usual mode does."""
RATE = 10.0
FEWEST_VISITS, MOST_VISITS = 17, 23
"""The film shows 19 people."""
LEAST_CORRELATION = 0.9
CAMERA = "square"
FILM_SECONDS = 79.5
CELL_PX = 40
COLUMNS, ROWS = 12, 9
CUT_SECONDS, RESTORED_SECONDS = 30.0, 40.0
QUARTER_SECONDS = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One whole Footfall."""

    camera: RtspServer
    broker: Mosquitto
    cloud: Cloud
    box: Box

    def begun(self) -> float:
        """Wait until the film begins; the Unix time of its first picture."""
        return until(lambda: self.camera.wall_clock_origin, seconds=30, what="the film to begin")


@pytest.fixture(scope="module")
def film(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared_film([assets / "videos" / "pets_s2l1.mp4"], tmp_path_factory.mktemp("film") / "pets")


@pytest.fixture(scope="module")
def truth(assets: Path) -> dict[int, People]:
    return read_mot(assets / "videos" / "pets_s2l1.gt.txt")


@pytest.fixture(scope="module")
def model(assets: Path) -> Path:
    return assets / "models" / "yolox_nano.onnx"


def installed(stack: ExitStack, *, name: str, film: Path, model: Path, folder: Path) -> Installation:
    """Everything but the box running, and the box enrolled."""
    broker = stack.enter_context(Mosquitto())
    url = f"sqlite:///{folder / 'footfall.sqlite'}"
    if name == "postgresql":
        server = stack.enter_context(PostgresServer())
        url = server.url_of(server.create_database())
    cloud = stack.enter_context(Cloud(folder / "cloud", database_url=url, broker=broker))
    cloud.enrol()
    camera = stack.enter_context(RtspServer(film))
    square = Camera(
        id=CAMERA,
        url=camera.url,
        settings={"image_size": [480, 360], "read_seconds": 3, "reconnect_cap_seconds": 2},
    )
    box = Box(
        folder / "box",
        broker=broker,
        cameras=[square],
        model=model,
        mode="statistics" if name == STATISTICS else "live",
    )
    return Installation(camera=camera, broker=broker, cloud=cloud, box=box)


class Uninterrupted:
    """The film from beginning to end."""

    @staticmethod
    def run(installations: dict[str, Installation]) -> None:
        for one in installations.values():
            one.begun()
        settle(installations)


class CutInTheMiddle:
    """The camera loses its power, and is back where the wall clock is."""

    @staticmethod
    def run(installations: dict[str, Installation]) -> None:
        origins = {name: one.begun() for name, one in installations.items()}
        for name, one in installations.items():
            sleep_until(origins[name] + CUT_SECONDS)
            one.camera.kill()
        for name, one in installations.items():
            sleep_until(origins[name] + RESTORED_SECONDS)
            one.camera.start()
        settle(installations)


@pytest.fixture(scope="module")
def uninterrupted(
    film: Path, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Installation]]:
    names = (*DATABASES, STATISTICS)
    yield from played(Uninterrupted, names, film, model, tmp_path_factory.mktemp("uninterrupted"))


@pytest.fixture(scope="module")
def cut(film: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Installation]]:
    yield from played(CutInTheMiddle, DATABASES, film, model, tmp_path_factory.mktemp("cut"))


def played(
    scenario: type[Uninterrupted | CutInTheMiddle], names: Sequence[str], film: Path, model: Path, folder: Path
) -> Iterator[dict[str, Installation]]:
    """Play a scenario into several installations at once, and leave cloud and API running."""
    with ExitStack() as stack:
        installations = {
            name: installed(stack, name=name, film=film, model=model, folder=folder / name) for name in names
        }
        for one in installations.values():
            stack.enter_context(one.box)
        scenario.run(installations)
        yield installations


def settle(installations: dict[str, Installation]) -> None:
    """Wait until the film is over, every visit has ended, every bucket of a minute is closed and all is delivered."""
    ends = max((one.camera.wall_clock_origin or 0.0) + FILM_SECONDS for one in installations.values())
    sleep_until(ends + 10.0)
    sleep_until((time.time() // 60 + 1) * 60 + 3.0)
    for name, one in installations.items():
        if name != STATISTICS:
            until(one.box.has_no_open_bucket, seconds=90, what="the last bucket to close")
        one.box.drained(60)


def sleep_until(moment: float) -> None:
    """Sleep until a Unix time: the film runs by the wall clock, and so does what is done to it."""
    time.sleep(max(0.0, moment - time.time()))


def period_of(one: Installation) -> dict[str, str]:
    """From the quarter of an hour in which the film began until now."""
    began = datetime.fromtimestamp(one.camera.wall_clock_origin or 0.0, UTC)
    return {"from": began.isoformat(), "to": (datetime.now(UTC) + timedelta(minutes=15)).isoformat()}


def reported(one: Installation, field: str) -> float:
    """The sum of one field over the minute reports, from the events that the cloud keeps."""
    page = one.cloud.get(f"/venues/{VENUE}/events", type="occupancy", limit="1000", **period_of(one))
    return float(sum(camera[field] for event in page["events"] for camera in event["item"]["cameras"]))


def presence(one: Installation) -> npt.NDArray[np.float64]:
    """The API's heat map as person-seconds per cell of the whole picture."""
    heat = one.cloud.get(f"/venues/{VENUE}/heatmap", layer="presence", **period_of(one))
    plane = np.zeros((64, 64))
    plane[heat["y"] : heat["y"] + heat["rows"], heat["x"] : heat["x"] + heat["columns"]] = heat["cells"]
    assert plane.sum() == pytest.approx(plane[:ROWS, :COLUMNS].sum()), "somebody stood outside the picture"
    return plane[:ROWS, :COLUMNS]


def true_presence(truth: Mapping[int, People]) -> npt.NDArray[np.float64]:
    """The truth's person-seconds per cell: where the feet are, a tenth of a second a frame."""
    grid = np.zeros((ROWS, COLUMNS))
    for people in truth.values():
        columns = np.clip(people.boxes[:, [0, 2]].mean(axis=1) // CELL_PX, 0, COLUMNS - 1).astype(int)
        rows = np.clip(people.boxes[:, 3] // CELL_PX, 0, ROWS - 1).astype(int)
        np.add.at(grid, (rows, columns), 1.0 / RATE)
    return grid


def true_visits(truth: Mapping[int, People], *, until_second: float, from_second: float) -> int:
    """Stays of the truth's people, split where the camera saw nothing between two seconds of the film."""
    before = {frame: people for frame, people in truth.items() if frame / RATE < until_second}
    after = {frame: people for frame, people in truth.items() if frame / RATE >= from_second}
    return people_in(before) + people_in(after)


def outage(one: Installation) -> tuple[float, float]:
    """When the camera was offline in the middle, in seconds of the film, by its health in the API."""
    health = one.cloud.get(f"/venues/{VENUE}/cameras/{BOX}/{CAMERA}", **period_of(one))
    origin = one.camera.wall_clock_origin or 0.0
    stretches = [
        tuple(datetime.fromisoformat(stretch[end]).timestamp() - origin for end in ("start", "end"))
        for stretch in health["timeline"]
        if stretch["state"] == "offline"
    ]
    within = [stretch for stretch in stretches if stretch[0] < FILM_SECONDS - 5]
    assert within, health["timeline"]
    assert all(before[1] == after[0] for before, after in pairwise(within)), "the camera was not back in between"
    return within[0][0], within[-1][1]


@pytest.mark.parametrize("database", DATABASES)
def test_an_uninterrupted_film_gives_the_visits_of_its_people(
    uninterrupted: dict[str, Installation], database: str
) -> None:
    one = uninterrupted[database]
    summary = one.cloud.get(f"/venues/{VENUE}/summary", **period_of(one))
    print(f"{database}: {summary}")
    assert FEWEST_VISITS <= summary["visits"] <= MOST_VISITS
    assert summary["gaps"]["lost_items"] == 0


@pytest.mark.parametrize("database", DATABASES)
def test_the_heat_map_is_what_the_reports_say_and_where_people_were(
    uninterrupted: dict[str, Installation], truth: Mapping[int, People], database: str
) -> None:
    one = uninterrupted[database]
    grid, person_seconds = presence(one), reported(one, "person_seconds")
    correlation = float(np.corrcoef(grid.ravel(), true_presence(truth).ravel())[0, 1])
    print(f"{database}: presence {grid.sum():.1f} s, reports {person_seconds:.1f} s, correlation {correlation:.4f}")
    assert grid.sum() == pytest.approx(person_seconds, rel=0.01)
    assert correlation >= LEAST_CORRELATION


def test_statistics_counts_the_same_in_coarser_times_and_keeps_its_buckets_until_they_close(
    uninterrupted: dict[str, Installation],
) -> None:
    one = uninterrupted[STATISTICS]
    events = one.cloud.get(f"/venues/{VENUE}/events", limit="1000", **period_of(one))["events"]
    visits = [event["item"] for event in events if event["item"]["type"] == "visit"]
    assert FEWEST_VISITS <= len(visits) <= MOST_VISITS
    assert {datetime.fromisoformat(visit["at"]).second % 10 for visit in visits} == {0}
    tiles = [event["item"] for event in events if event["item"]["type"] == "tile"]
    assert {tile["length_seconds"] for tile in tiles} <= {QUARTER_SECONDS}
    quarter_of_film = (one.camera.wall_clock_origin or 0.0) // QUARTER_SECONDS
    if time.time() // QUARTER_SECONDS == quarter_of_film:
        assert not tiles, "the quarter of an hour is not over"
        assert not one.box.has_no_open_bucket()


@pytest.mark.parametrize("database", DATABASES)
def test_a_cut_camera_loses_coverage_and_not_the_count(
    cut: dict[str, Installation], truth: Mapping[int, People], database: str
) -> None:
    one = cut[database]
    began, ended = outage(one)
    expected = true_visits(truth, until_second=CUT_SECONDS, from_second=ended)
    summary = one.cloud.get(f"/venues/{VENUE}/summary", **period_of(one))
    watched = reported(one, "watched_seconds")
    print(
        f"{database}: {summary['visits']} visits, truth {expected}; offline {began:.1f}-{ended:.1f} s; {watched:.1f} s"
    )
    assert summary["visits"] == pytest.approx(expected, rel=0.2)
    assert CUT_SECONDS - 1 <= began <= CUT_SECONDS + 6
    assert RESTORED_SECONDS - 1 <= ended <= RESTORED_SECONDS + 8
    assert watched == pytest.approx(FILM_SECONDS - (ended - CUT_SECONDS), abs=4)
    assert summary["coverage"]["watched_seconds"] == pytest.approx(watched, abs=0.5)
    assert summary["coverage"]["fraction"] < 1
