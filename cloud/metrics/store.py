"""What the database holds, counted when somebody asks: boxes, what is held or dead, alerts, and what waits to be told.

Sums over the whole fleet, so that the number of series does not grow with it; the API shows single boxes.
"""

import logging
from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, Engine, func, select

from cloud.alerts.rules import Rule
from cloud.devices.following import last_asked
from cloud.errors import StoreError
from cloud.ingest.judgement import HoldReason
from cloud.store.engine import reading
from cloud.store.tables import Alert, Box, Held, JobRun, WebhookDelivery
from cloud.store.upsert import table_of
from protocol.status import BoxState

__all__ = ["StoreCollector"]

_ALERT, _BOX, _HELD = table_of(Alert), table_of(Box), table_of(Held)
_DELIVERY, _JOB = table_of(WebhookDelivery), table_of(JobRun)
_LOG = logging.getLogger(__name__)


class StoreCollector(Collector):
    """Asks one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        try:
            with reading(self._engine) as connection:
                found = [
                    metric for ask in (_boxes, _follower, _set_aside, _alerts, _jobs) for metric in ask(connection)
                ]
        except StoreError as error:
            _LOG.warning("%s; its metrics are left out", error, extra={"action": "metrics"})
            found = []
        yield GaugeMetricFamily("footfall_store_up", "1 when the database could be asked.", float(bool(found)))
        yield from found

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not connect."""
        return iter(())


def _boxes(connection: Connection) -> Iterator[Metric]:
    states = connection.execute(select(_BOX.c.state, func.count()).group_by(_BOX.c.state))
    yield _by(
        "footfall_boxes",
        "Boxes known, by what they last said.",
        "state",
        BoxState,
        {str(one): int(count) for one, count in states},
    )
    heard = _BOX.c.last_seen_ms
    for name, text, query in (
        ("newest", "When any box was last heard, in seconds since 1970.", select(func.max(heard))),
        (
            "oldest",
            "When that box of a venue was last heard which has been silent longest, in seconds since 1970.",
            select(func.min(heard)).where(_BOX.c.venue.is_not(None)),
        ),
    ):
        moment_ms = connection.execute(query).scalar_one()
        if moment_ms is not None:
            yield GaugeMetricFamily(f"footfall_boxes_{name}_word_timestamp_seconds", text, moment_ms / 1000)


def _follower(connection: Connection) -> Iterator[Metric]:
    moment_ms = last_asked(connection)
    if moment_ms is not None:
        yield GaugeMetricFamily(
            "footfall_broker_follower_word_timestamp_seconds",
            "When the program beside the broker last asked who may come, in seconds since 1970.",
            moment_ms / 1000,
        )


def _set_aside(connection: Connection) -> Iterator[Metric]:
    reasons = connection.execute(select(_HELD.c.reason, func.count()).group_by(_HELD.c.reason))
    yield _by(
        "footfall_held_items",
        "Items kept without counting.",
        "reason",
        HoldReason,
        {str(one): int(count) for one, count in reasons},
    )
    dead = connection.execute(select(func.sum(_BOX.c.dead_letters))).scalar_one()
    yield GaugeMetricFamily("footfall_dead_letters", "Items and payloads that could not be taken.", int(dead or 0))


def _alerts(connection: Connection) -> Iterator[Metric]:
    unresolved = select(_ALERT.c.rule, func.count()).where(_ALERT.c.resolved_ms.is_(None)).group_by(_ALERT.c.rule)
    rules = connection.execute(unresolved)
    yield _by(
        "footfall_alerts", "Alerts that are not resolved.", "rule", Rule, {str(one): int(count) for one, count in rules}
    )
    waiting = select(func.count()).where(_DELIVERY.c.delivered_ms.is_(None), _DELIVERY.c.given_up_ms.is_(None))
    given_up = select(func.count()).where(_DELIVERY.c.given_up_ms.is_not(None))
    yield GaugeMetricFamily(
        "footfall_webhook_waiting_messages", "Messages that the webhook has not taken yet.",
        connection.execute(waiting).scalar_one(),
    )  # fmt: skip
    yield GaugeMetricFamily(
        "footfall_webhook_given_up_messages", "Messages that it did not take within three days.",
        connection.execute(given_up).scalar_one(),
    )  # fmt: skip


def _jobs(connection: Connection) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "footfall_job_last_success_timestamp_seconds",
        "When a job of the upkeep last succeeded, in seconds since 1970.",
        labels=["job"],
    )
    for job, moment_ms in connection.execute(select(_JOB.c.job, _JOB.c.succeeded_ms).order_by(_JOB.c.job)):
        if moment_ms is not None:
            family.add_metric([job], moment_ms / 1000)
    yield family


def _by(name: str, text: str, label: str, known: Iterable[str], counts: dict[str, int]) -> Metric:
    """A count for each value that there may be, zero where there are none."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for value in sorted({*map(str, known), *counts}):
        family.add_metric([value], counts.get(value, 0))
    return family
