import sqlite3
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from edge.exchange.batch import Batch
from edge.metrics.uplink import uplink_registry
from edge.uplink.delivery import Delivery
from edge.uplink.tally import Tally
from protocol.acks import Ack
from tests.support.exchange import ORIGIN, Exchange, acked, filled, opened, visit
from tests.support.ideal_cloud import IdealCloud
from tests.support.prometheus import Scrape, documented


def registry_of(exchange: Exchange, tally: Tally | None = None) -> CollectorRegistry:
    return uplink_registry(
        tally or Tally(), folder=exchange.folder, boot=exchange.boot, room_bytes=2**24, monotonic=lambda: exchange.now
    )


def told(registry: CollectorRegistry) -> Scrape:
    return Scrape(generate_latest(registry).decode())


@pytest.fixture
def exchange(tmp_path: Path) -> Exchange:
    return Exchange(folder=tmp_path)


def envelopes(found: Scrape) -> tuple[float, ...]:
    outcomes = ("sent", "acknowledged", "refused")
    return tuple(found.value("footfall_uplink_envelopes_total", outcome=outcome) for outcome in outcomes)


def test_depth_and_age_of_the_exchange_follow_what_waits(exchange: Exchange) -> None:
    registry = registry_of(exchange)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        assert told(registry).value("footfall_exchange_oldest_waiting_seconds") == 0
        filled(writer, exchange, 4)
        exchange.now += 90
        writer.commit(Batch(origin=ORIGIN, drafts=[visit(at=exchange.now)]))
        found = told(registry)
        assert found.value("footfall_exchange_waiting_items") == 6
        assert found.value("footfall_exchange_oldest_waiting_seconds") == pytest.approx(90)
        delivery = Delivery(outbox, box="box-1")
        cloud = IdealCloud()
        for outgoing in delivery.due(exchange.now):
            delivery.sent(outgoing, exchange.now)
            delivery.acknowledge(cloud.take(outgoing.payload), exchange.now)
        found = told(registry)
        assert found.value("footfall_exchange_waiting_items") == 0
        assert found.value("footfall_exchange_oldest_waiting_seconds") == 0
        assert found.value("footfall_exchange_room_bytes") == 2**24
        size = (exchange.folder / "exchange.sqlite").stat().st_size
        assert found.value("footfall_exchange_size_bytes") == size


def test_an_item_without_a_place_in_time_has_no_age(exchange: Exchange) -> None:
    with opened(exchange) as writer:
        filled(writer, exchange, 1)
        with closing(sqlite3.connect(exchange.folder / "exchange.sqlite")) as connection:
            connection.execute("UPDATE item SET at_ms = NULL")
            connection.commit()
        found = told(registry_of(exchange))
    assert found.value("footfall_exchange_waiting_items") == 2
    assert "footfall_exchange_oldest_waiting_seconds" not in found


def test_an_exchange_that_cannot_be_read_is_said_and_the_rest_goes_on(exchange: Exchange) -> None:
    (exchange.folder / "exchange.sqlite").write_bytes(b"no database at all " * 500)
    found = told(registry_of(exchange))
    assert found.value("footfall_exchange_readable") == 0
    assert "footfall_exchange_waiting_items" not in found
    assert found.value("footfall_box_cpus") == psutil.cpu_count()


def test_what_becomes_of_envelopes_is_counted(exchange: Exchange) -> None:
    tally = Tally()
    registry = registry_of(exchange, tally)
    cloud = IdealCloud(unreadable=lambda payload: b'"frames_seen":666' in payload)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        delivery = Delivery(outbox, box="box-1", tally=tally)
        delivery.connected()
        filled(writer, exchange, 3)
        writer.commit(Batch(origin=ORIGIN, drafts=[visit(at=exchange.now, frames=666)]))
        assert envelopes(told(registry)) == (0, 0, 0)
        for _ in range(6):
            for outgoing in delivery.due(exchange.now):
                delivery.sent(outgoing, exchange.now)
                delivery.acknowledge(cloud.take(outgoing.payload), exchange.now)
        sent, acknowledged, refused = envelopes(told(registry))
        assert refused == 4, "all five, then the three, the two and the one with the item that cannot be read"
        assert sent == acknowledged + refused
        assert acknowledged >= 2


def test_rejected_items_are_counted(exchange: Exchange) -> None:
    tally = Tally()
    with opened(exchange) as writer, exchange.outbox() as outbox:
        delivery = Delivery(outbox, box="box-1", tally=tally)
        filled(writer, exchange, 3)
        for outgoing in delivery.due(exchange.now):
            delivery.sent(outgoing, exchange.now)
        answer: Ack = acked(1, through=4).model_copy(update={"rejected": (2, 3)})
        delivery.acknowledge(answer.to_json().encode(), exchange.now)
    assert told(registry_of(exchange, tally)).value("footfall_uplink_rejected_items_total") == 2


def test_the_machine_is_that_of_the_kernel(exchange: Exchange) -> None:
    found = told(registry_of(exchange))
    assert found.value("footfall_box_memory_size_bytes") == psutil.virtual_memory().total
    assert found.value("footfall_box_disk_size_bytes") == psutil.disk_usage(str(exchange.folder)).total
    spent = [found.value("footfall_box_cpu_seconds_total", mode=mode) for mode in ("user", "system", "idle")]
    assert all(seconds > 0 for seconds in spent)
    assert 'interface="lo"' not in found.text


def test_the_page_names_every_metric_with_its_type_and_labels(exchange: Exchange) -> None:
    with opened(exchange):
        found = told(registry_of(exchange))
    assert {name: (kind, found.labels[name]) for name, kind in found.types.items()} == documented(
        "Every process", "Uplink"
    )
