"""The names of what the roll-ups sum: one vocabulary for the ingest that writes and the queries that read.

Durations are whole milliseconds, presence is tenths of a person-second. `bin` is 0 unless a line here says more.
Knows nothing of items or of SQL.
"""

from enum import IntEnum, StrEnum

__all__ = [
    "BUCKET_MS",
    "DAY_SECONDS",
    "HOUR_SECONDS",
    "OF_HOURS",
    "PEAKS_OF_HOURS",
    "DemographicBin",
    "DirectionBin",
    "EndBin",
    "EngagementBin",
    "Metric",
    "Peak",
    "Scope",
    "SignBin",
    "UndisclosedBin",
    "bucket_of",
    "day_start",
]

BUCKET_MS = 900_000
"""A roll-up bucket: 15 minutes, aligned to UTC."""

HOUR_SECONDS, DAY_SECONDS = 3_600, 86_400
"""How long the long sums are, aligned to UTC as well."""


def bucket_of(at_ms: int) -> int:
    """The start of the bucket in which a moment lies."""
    return at_ms - at_ms % BUCKET_MS


def day_start(at_ms: int) -> int:
    """The start of the day in UTC in which a moment lies."""
    return at_ms - at_ms % (DAY_SECONDS * 1000)


class Scope(StrEnum):
    """What `subject` is the id of, within a box."""

    SCENE = "scene"
    CAMERA = "camera"
    ZONE = "zone"
    LINE = "line"


class Metric(StrEnum):
    """What `rollup.value` sums, with the scope that it stands under.

    Of visits, everything lies in the bucket in which the visit began.
    """

    VISITS = "visits"
    """scene: visits that count, those that began `entered` or `appeared`."""
    VISITS_RESUMED = "visits_resumed"
    """scene: visits that began any other way, and are not counted as visitors again."""
    VISIT_ENDS = "visit_ends"
    """scene: all visits by how they ended; bin is EndBin."""
    DWELL_MS = "dwell_ms"
    """scene: the dwell of all visits, counted and resumed."""
    DWELL_HISTOGRAM = "dwell_histogram"
    """scene: all visits by dwell; bin of `protocol.histograms.DURATION_BOUNDS_SECONDS`."""
    VISIT_ENGAGEMENT = "visit_engagement"
    """scene: visits by what the visitor mostly did, where known; bin is EngagementBin."""
    ENGAGEMENT_SCORES = "engagement_scores"
    """scene: visits by engagement score, where known; bin of `SCORE_BOUNDS`."""
    ZONE_VISITS = "zone_visits"
    """zone: visits that spent any time in it."""
    ZONE_DWELL_MS = "zone_dwell_ms"
    """zone: the time that visits spent in it."""
    ZONE_DWELL_HISTOGRAM = "zone_dwell_histogram"
    """zone: visits by time spent in it; bin of `DURATION_BOUNDS_SECONDS`."""
    CROSSINGS = "crossings"
    """line: crossings, from the minute reports; bin is DirectionBin."""
    STAFF_CROSSINGS = "staff_crossings"
    """line: crossings by staff; bin is DirectionBin."""
    REPORTS = "reports"
    """scene: minute reports received."""
    REPORTED_MS = "reported_ms"
    """scene: the time that the minute reports cover."""
    DRIFT = "drift"
    """scene: people taken from in − out when the scene was seen empty; bin is SignBin, values are magnitudes."""
    WATCHED_MS = "watched_ms"
    """camera: time really watched."""
    WATCHED_WITHIN_MS = "watched_within_ms"
    """camera, only of hours and days: the same, but of each 15 minutes no more than there are in them."""
    ANALYSED_FRAMES = "analysed_frames"
    """camera: frames analysed."""
    DROPPED_FRAMES = "dropped_frames"
    """camera: frames dropped."""
    PERSON_TENTHS = "person_tenths"
    """camera and zone: presence, in tenths of a person-second."""
    QUEUE_REPORTS = "queue_reports"
    """zone: minute reports of the queue, to divide the summed lengths by."""
    QUEUE_LENGTH_MILLI = "queue_length_milli"
    """zone: mean length of each minute in thousandths of a person, summed over the reports."""
    QUEUE_WAITS = "queue_waits"
    """zone: waits of those who left the queue; bin of `DURATION_BOUNDS_SECONDS`."""
    QUEUE_SERVED = "queue_served"
    """zone: people served."""
    QUEUE_ABANDONED = "queue_abandoned"
    """zone: people who gave up."""
    ATTENTION_VISITS = "attention_visits"
    """zone: visits behind the attention figures."""
    ATTENTION_SCORES = "attention_scores"
    """zone: visits by engagement score; bin of `SCORE_BOUNDS`."""
    ATTENTION_BEHAVIOURS = "attention_behaviours"
    """zone: visits by behaviour; bin is EngagementBin."""
    DEMOGRAPHICS = "demographics"
    """zone: visits by group; bin is `DemographicBin.of(age, gender)`."""
    UNDISCLOSED = "undisclosed"
    """scene: visits left out of grouped figures because their group was too small; bin is UndisclosedBin."""


class Peak(StrEnum):
    """What `rollup_peak.value` is the greatest of, with the scope that it stands under."""

    PEOPLE = "people"
    """camera and zone: most people at one instant."""
    INSIDE = "inside"
    """scene: greatest in − out."""
    QUEUE_LENGTH = "queue_length"
    """zone: longest queue."""
    REPORTED_AT_MS = "reported_at_ms"
    """camera: the newest minute report."""


OF_HOURS = (
    Metric.VISITS,
    Metric.VISITS_RESUMED,
    Metric.DWELL_MS,
    Metric.CROSSINGS,
    Metric.STAFF_CROSSINGS,
    Metric.DRIFT,
    Metric.WATCHED_MS,
    Metric.PERSON_TENTHS,
)
"""What is added up to hours too, since it is shown hour by hour; days are made of everything."""
PEAKS_OF_HOURS = (Peak.PEOPLE, Peak.INSIDE)


class DirectionBin(IntEnum):
    """The way across a line."""

    IN = 0
    OUT = 1


class SignBin(IntEnum):
    """Whether a magnitude stands for more or for fewer people than counted."""

    POSITIVE = 0
    NEGATIVE = 1


class EndBin(IntEnum):
    """How a visit ended."""

    LEFT = 0
    LOST = 1
    INTERRUPTED = 2
    SPLIT = 3
    UNKNOWN = 4


class EngagementBin(IntEnum):
    """What a visitor mostly did."""

    ENGAGED = 0
    BROWSING = 1
    WAITING = 2
    PASSING = 3
    UNKNOWN = 4


class UndisclosedBin(IntEnum):
    """Which figures the undisclosed visits are missing from."""

    FLOW = 0
    ATTENTION = 1
    DEMOGRAPHICS = 2


class DemographicBin:
    """A group as one number, ten times the place of its age plus the place of its gender."""

    AGES = ("0-15", "16-29", "30-49", "50-64", "65+", "undetermined", "unknown")
    GENDERS = ("female", "male", "undetermined", "unknown")

    @classmethod
    def of(cls, age: str, gender: str) -> int:
        return 10 * cls.AGES.index(age) + cls.GENDERS.index(gender)

    @classmethod
    def group(cls, number: int) -> tuple[str, str]:
        """The age and the gender of a bin."""
        return cls.AGES[number // 10], cls.GENDERS[number % 10]
