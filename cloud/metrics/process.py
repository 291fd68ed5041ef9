"""What one process of the cloud did since it started: commits of the ingest, and answers of the API."""

from collections.abc import Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)

from cloud.health import program_version
from cloud.ingest.meter import Verdicts

__all__ = ["CloudMetrics"]

_COMMIT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
_REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class CloudMetrics:
    """The metrics of one process, in a registry of its own; a meter of the ingest."""

    def __init__(self) -> None:
        disable_created_metrics()  # they double the series, and Prometheus finds a restart without them
        self.registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=self.registry)
        Info("footfall_build", "The version of Footfall.", registry=self.registry).info({"version": program_version()})
        self._commits = Histogram(
            "footfall_ingest_commit_seconds",
            "The database's time for one batch of messages that was committed.",
            buckets=_COMMIT_SECONDS,
            registry=self.registry,
        )
        self._failures = Counter(
            "footfall_ingest_commit_failures",
            "Batches that the database did not take; they are tried again.",
            registry=self.registry,
        )
        self._envelopes = Counter(
            "footfall_ingest_envelopes",
            "Envelopes committed, and payloads refused because they cannot be read.",
            ["outcome"],
            registry=self.registry,
        )
        self._items = Counter(
            "footfall_ingest_items", "Items committed, by verdict.", ["verdict"], registry=self.registry
        )
        self._requests = Counter(
            "footfall_api_requests",
            "Requests answered, by method, route and status.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "footfall_api_request_seconds",
            "Time until an answer begins.",
            ["method", "route"],
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        for outcome in ("committed", "refused"):
            self._envelopes.labels(outcome)
        for verdict in Verdicts:
            self._items.labels(str(verdict))

    def committed(self, *, seconds: float, envelopes: int, refused: int, items: Mapping[Verdicts, int]) -> None:
        """A batch was committed."""
        self._commits.observe(seconds)
        self._envelopes.labels("committed").inc(envelopes)
        self._envelopes.labels("refused").inc(refused)
        for verdict, count in items.items():
            self._items.labels(str(verdict)).inc(count)

    def failed(self) -> None:
        """The database did not take a batch."""
        self._failures.inc()

    def answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """The API answered; `route` is the template of the path and never the path itself."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(method, route).observe(seconds)
