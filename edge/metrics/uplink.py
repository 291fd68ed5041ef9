"""The metrics of the process that delivers: its envelopes and its connection, and what waits in the exchange."""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edge.errors import ExchangeError
from edge.exchange.outbox import Outbox
from edge.exchange.schema import FILE_NAME
from edge.metrics.machine import MachineCollector
from edge.metrics.server import make_registry
from edge.uplink.tally import Tally

__all__ = ["uplink_registry"]

_log = logging.getLogger(__name__)


def uplink_registry(
    tally: Tally, *, folder: Path, boot: str, room_bytes: int, monotonic: Callable[[], float]
) -> CollectorRegistry:
    """What uplink tells of itself, of the exchange in `folder`, and of the machine."""
    registry = make_registry()
    registry.register(_TallyCollector(tally))
    registry.register(_ExchangeCollector(folder, boot=boot, room_bytes=room_bytes, monotonic=monotonic))
    registry.register(MachineCollector(folder))
    return registry


class _TallyCollector(Collector):
    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        tally = self._tally
        yield GaugeMetricFamily(
            "footfall_uplink_connected", "1 while there is a connection to the broker.", float(tally.connected)
        )
        yield CounterMetricFamily("footfall_uplink_connections", "Connections made to the broker.", tally.connections)
        envelopes = CounterMetricFamily(
            "footfall_uplink_envelopes", "Envelopes by what became of them: sent, acknowledged or refused.",
            labels=["outcome"],
        )  # fmt: skip
        envelopes.add_metric(["sent"], tally.sent)
        envelopes.add_metric(["acknowledged"], tally.acknowledged)
        envelopes.add_metric(["refused"], tally.refused)
        yield envelopes
        yield CounterMetricFamily(
            "footfall_uplink_rejected_items", "Items that the cloud took as dead letters.", tally.rejected_items
        )
        yield CounterMetricFamily(
            "footfall_uplink_set_aside_gaps", "Declared gaps that the cloud could not read.", tally.set_aside_gaps
        )


class _ExchangeCollector(Collector):
    """Looks into the exchange over a connection of its own, as it is asked from another thread than uplink's."""

    def __init__(self, folder: Path, *, boot: str, room_bytes: int, monotonic: Callable[[], float]) -> None:
        self._folder = folder
        self._boot = boot
        self._room_bytes = room_bytes
        self._monotonic = monotonic

    def collect(self) -> Iterator[Metric]:
        try:
            found = list(self._exchange())
        except ExchangeError as error:
            _log.warning("%s; its metrics are left out", error, extra={"action": "metrics"})
            found = []
        yield GaugeMetricFamily("footfall_exchange_readable", "1 when the exchange could be read.", float(bool(found)))
        yield from found

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not open the exchange, which may not be there yet."""
        return iter(())

    def _exchange(self) -> Iterator[Metric]:
        with closing(Outbox(self._folder, boot=self._boot)) as outbox:
            standing, fix = outbox.standing(), outbox.fix()
        yield GaugeMetricFamily(
            "footfall_exchange_waiting_items", "Items that the cloud has not acknowledged.", standing.waiting
        )
        if standing.waiting == 0:
            yield _oldest(0.0)
        elif standing.oldest_at_ms is not None and fix is not None:
            age_ms = round(self._monotonic() * 1000) + fix.offset_ms - standing.oldest_at_ms
            yield _oldest(max(0.0, age_ms / 1000))
        yield GaugeMetricFamily(
            "footfall_exchange_size_bytes", "Size of the exchange's file.", (self._folder / FILE_NAME).stat().st_size
        )
        yield GaugeMetricFamily("footfall_exchange_room_bytes", "What it may take on the disk.", self._room_bytes)


def _oldest(seconds: float) -> Metric:
    return GaugeMetricFamily(
        "footfall_exchange_oldest_waiting_seconds",
        "Age of the oldest item that waits; left out while UTC is not known.",
        seconds,
    )
