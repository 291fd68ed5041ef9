"""The box as a whole: processors, memory, disk and network, as its kernel counts them."""

from collections.abc import Iterator
from pathlib import Path

import psutil
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["MachineCollector"]

_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


class MachineCollector(Collector):
    """Reads the machine when asked; the disk is the one under `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        yield from _processors()
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(self._folder))
        yield GaugeMetricFamily("footfall_box_memory_size_bytes", "Memory of the box.", memory.total)
        yield GaugeMetricFamily(
            "footfall_box_memory_available_bytes", "Memory that programs can still have.", memory.available
        )
        yield GaugeMetricFamily("footfall_box_disk_size_bytes", "Size of the disk that the exchange is on.", disk.total)
        yield GaugeMetricFamily("footfall_box_disk_free_bytes", "Free room on that disk.", disk.free)
        yield from _network()
        yield GaugeMetricFamily(
            "footfall_box_boot_time_seconds", "When the box started, in seconds since 1970.", psutil.boot_time()
        )


def _processors() -> Iterator[Metric]:
    spent = CounterMetricFamily(
        "footfall_box_cpu_seconds", "Time of all processors together, by what they did.", labels=["mode"]
    )
    times = psutil.cpu_times()
    for mode in _MODES:
        spent.add_metric([mode], getattr(times, mode))
    yield spent
    yield GaugeMetricFamily("footfall_box_cpus", "Processors of the box.", psutil.cpu_count() or 1)


def _network() -> Iterator[Metric]:
    received = CounterMetricFamily(
        "footfall_box_network_received_bytes", "Bytes received, without the loopback.", labels=["interface"]
    )
    sent = CounterMetricFamily(
        "footfall_box_network_sent_bytes", "Bytes sent, without the loopback.", labels=["interface"]
    )
    for interface, counters in sorted(psutil.net_io_counters(pernic=True).items()):
        if interface != "lo":
            received.add_metric([interface], counters.bytes_recv)
            sent.add_metric([interface], counters.bytes_sent)
    yield from (received, sent)
