"""What the cloud says of itself to Prometheus.

Read `process` (what one process did: commits, requests), `store` (what the database holds, counted when somebody asks)
and `server` (a port of its own, for a process without the API). docs/metrics-prometheus.md names every metric.
"""

__all__: list[str] = []
