"""What a box's processes say of themselves to Prometheus, each on a port of its own, where one is set.

Read `vision` (frames, delay, inference), `uplink` (deliveries, the exchange), `machine` (the box as a whole) and
`server`. Counts live with whoever counts, and are read when somebody asks. docs/metrics-prometheus.md names them all.
"""

__all__: list[str] = []
