import json
from datetime import timedelta

import pytest
from sqlalchemy import text

from cloud.devices.following import FOLLOWER_HEADER
from cloud.errors import StoreError
from cloud.ingest.commit import Committer
from cloud.metrics.process import CloudMetrics
from cloud.store.engine import writing
from cloud.store.moments import to_ms
from cloud.upkeep import jobs_of, run_job
from tests.support.alerts import raise_alert
from tests.support.api import ON_SQLITE, Api
from tests.support.envelopes import BOX, NOW, VENUE, deliver, envelope, item, visit
from tests.support.prometheus import Scrape, documented
from tests.support.webhook_receiver import SECRET

IN_THE_DATABASE = "Cloud: its database"


def items(found: Scrape) -> dict[str, float]:
    verdicts = ("counted", "held", "rejected", "repeated")
    return {verdict: found.value("footfall_ingest_items_total", verdict=verdict) for verdict in verdicts}


def test_commits_are_counted_by_what_became_of_envelopes_and_items(api: Api, device_key: str) -> None:
    assert items(api.scrape()) == {"counted": 0, "held": 0, "rejected": 0, "repeated": 0}
    bad = {**visit(4), "dwell_seconds": -1}
    for _ in range(2):
        api.send(device_key, visit(1), visit(2), item(3, "telepathy"), bad)
    api.request("POST", "/events", key=device_key, content=b"garbage")
    found = api.scrape()
    assert items(found) == {"counted": 2, "held": 1, "rejected": 1, "repeated": 4}
    outcomes = [found.value("footfall_ingest_envelopes_total", outcome=one) for one in ("committed", "refused")]
    assert outcomes == [2, 1]
    assert found.value("footfall_ingest_commit_seconds_count") == 3
    assert 0 < found.value("footfall_ingest_commit_seconds_sum") < 60
    assert found.value("footfall_ingest_commit_failures_total") == 0


def test_a_batch_that_the_database_does_not_take_is_a_failure_and_no_commit(api: Api) -> None:
    metrics = CloudMetrics()
    other = Api(api.engine, metrics=metrics)
    committer = Committer(api.engine, lambda: NOW, meter=metrics)
    with writing(api.engine) as connection:
        connection.execute(text("ALTER TABLE receipt RENAME TO receipt_elsewhere"))
    try:
        with pytest.raises(StoreError):
            committer.commit(deliver(envelope([visit(1)])))
    finally:
        with writing(api.engine) as connection:
            connection.execute(text("ALTER TABLE receipt_elsewhere RENAME TO receipt"))
    found = other.scrape()
    assert found.value("footfall_ingest_commit_failures_total") == 1
    assert found.value("footfall_ingest_commit_seconds_count") == 0
    assert items(found)["counted"] == 0


def test_requests_are_counted_by_route_and_never_by_path(api: Api, device_key: str) -> None:
    for venue in (VENUE, VENUE, "nowhere"):
        api.get(f"/venues/{venue}/summary")
    api.get("/no-such-thing")
    api.get("/no-such-thing-either")
    api.request("BREW", "/venues")
    api.request("POST", "/venues", key="wrong", json={})
    found = api.scrape()

    def count(method: str, route: str, status: int) -> float:
        return found.value("footfall_api_requests_total", method=method, route=route, status=str(status))

    assert count("GET", "/venues/{venue}/summary", 200) == 2
    assert count("GET", "/venues/{venue}/summary", 404) == 1
    assert count("GET", "none", 404) == 2
    assert count("other", "/venues", 405) == 1
    assert count("POST", "/venues", 401) == 1
    for name in ("nowhere", "no-such-thing", "BREW"):
        assert name not in found.text
    seconds = {"method": "GET", "route": "/venues/{venue}/summary"}
    assert found.value("footfall_api_request_seconds_count", seconds) == 3
    assert 0 < found.value("footfall_api_request_seconds_sum", seconds) < 60


@ON_SQLITE
def test_an_answer_that_fails_is_counted_as_a_failure(api: Api) -> None:
    @api.app.get("/broken")
    def _broken() -> None:
        raise RuntimeError("told by the test")

    api.request("GET", "/../../broken")
    assert api.scrape().value("footfall_api_requests_total", method="GET", route="/broken", status="500") == 1


def test_what_the_database_holds_is_read_when_somebody_asks(api: Api, device_key: str) -> None:
    empty = api.scrape()
    assert "footfall_boxes_newest_word_timestamp_seconds" not in empty
    assert empty.value("footfall_boxes", state="unknown") == 1
    api.send(device_key, item(1, "telepathy"), visit(2, at=NOW + timedelta(hours=2)), {**visit(3), "dwell_seconds": -1})
    birth = {"box": BOX, "venue": VENUE, "session": "5" * 16, "state": "online", "mode": "live"}
    Committer(api.engine, lambda: NOW).commit(deliver(json.dumps(birth).encode(), leaf="status"))
    api.clock.now = NOW + timedelta(minutes=3)
    api.send(api.make_box("stray", None), box="stray")
    api.clock.now = NOW + timedelta(minutes=2)
    api.send(api.make_box("box-2"), box="box-2")
    told = Api(api.engine, settings={"alerts": {"webhook_url": "https://hook.example/", "webhook_secret": SECRET}})
    for box in ("box-1", "box-2"):
        alert = raise_alert(api.engine, box=box, minutes=int(box[-1]))
    told.write("POST", f"/alerts/{alert}/acknowledge", {"by": "Ada"})
    raise_alert(api.engine)
    told.write("POST", f"/alerts/{api.read('/alerts')['alerts'][-1]['alert']}/resolve", {"by": "Ada"})
    found = api.scrape()
    assert found.value("footfall_store_up") == 1
    assert [found.value("footfall_boxes", state=state) for state in ("online", "offline", "unknown")] == [1, 0, 2]
    assert found.value("footfall_boxes_newest_word_timestamp_seconds") == to_ms(NOW) / 1000 + 180
    assert found.value("footfall_boxes_oldest_word_timestamp_seconds") == to_ms(NOW) / 1000
    held = {reason: found.value("footfall_held_items", reason=reason) for reason in ("unknown-type", "future", "clone")}
    assert held == {"unknown-type": 1, "future": 1, "clone": 0}
    assert found.value("footfall_dead_letters") == 1
    assert found.value("footfall_alerts", rule="box-offline") == 2
    assert found.value("footfall_alerts", rule="capacity-exceeded") == 0
    assert found.value("footfall_webhook_waiting_messages") == 2
    assert found.value("footfall_webhook_given_up_messages") == 0


def test_without_its_database_the_process_still_tells_of_itself(api: Api) -> None:
    with writing(api.engine) as connection:
        connection.execute(text("ALTER TABLE held RENAME TO held_elsewhere"))
    try:
        found = api.scrape()
    finally:
        with writing(api.engine) as connection:
            connection.execute(text("ALTER TABLE held_elsewhere RENAME TO held"))
    assert found.value("footfall_store_up") == 0
    assert "footfall_boxes" not in found
    assert "footfall_ingest_commit_seconds" in found


def test_the_page_names_every_metric_with_its_type_and_labels(api: Api, device_key: str) -> None:
    api.send(device_key)
    for job in jobs_of(retention_months=13):
        run_job(api.engine, job, now=NOW)
    api.request("GET", "/broker/access", headers={FOLLOWER_HEADER: "yes"})
    found = api.scrape()
    assert found.value("footfall_job_last_success_timestamp_seconds", job="retention") == to_ms(NOW) / 1000
    told = {name: (kind, found.labels[name]) for name, kind in found.types.items()}
    assert told == documented("Every process", "Cloud: each process", IN_THE_DATABASE)
    assert all(found.helps.values())


@ON_SQLITE
def test_metrics_need_no_key_and_stand_in_no_description(api: Api) -> None:
    api.scrape()
    assert not any("metrics" in path for path in api.app.openapi()["paths"])
