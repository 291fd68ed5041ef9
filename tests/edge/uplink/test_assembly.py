import threading
import time
from pathlib import Path

from edge.exchange.batch import Batch
from edge.settings import Settings
from edge.uplink.assembly import drain
from tests.support.exchange import ORIGIN, Exchange, acked, opened, visit


def settings(folder: Path) -> Settings:
    return Settings.model_validate(
        {
            "box": {"id": "box-1", "venue": "shop"},
            "exchange": {"folder": folder},
            "camera": [{"id": "door", "synthetic": {}}],
        }
    )


def test_a_drain_lasts_until_all_is_acknowledged(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    draining = threading.Thread(
        target=drain, args=(settings(tmp_path), threading.Event()), kwargs={"limit_seconds": 60.0}
    )
    with opened(exchange) as writer, exchange.outbox() as outbox:
        writer.commit(Batch(origin=ORIGIN, drafts=[visit()]))
        draining.start()
        draining.join(0.5)
        assert draining.is_alive()
        outbox.claim(now_ms=0, window=10, lapse_ms=1000)
        outbox.settle(acked(1, through=1), now_ms=100)
        draining.join(10)
        assert not draining.is_alive()


def test_a_drain_to_nobody_ends_when_its_time_is_over(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with opened(exchange) as writer:
        writer.commit(Batch(origin=ORIGIN, drafts=[visit()]))
        began = time.monotonic()
        drain(settings(tmp_path), threading.Event(), limit_seconds=0.5)
        assert 0.5 <= time.monotonic() - began < 10
