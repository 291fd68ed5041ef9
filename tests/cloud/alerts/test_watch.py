"""The loop over both databases, with a real receiver: raised, told, settled, and never twice."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from cloud.alerts import watch as watch_module
from cloud.alerts.delivery import GIVE_UP_MS
from cloud.alerts.watch import AlertWatch
from cloud.alerts.webhook import Webhook
from cloud.ingest.commit import Committer
from cloud.store.tables import Alert, WebhookDelivery
from protocol.wire import format_utc
from tests.support.api import Api, Clock
from tests.support.envelopes import BOX, VENUE, deliver, rows_of
from tests.support.webhook_receiver import KEY, WebhookReceiver

MINUTE = timedelta(minutes=1)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
def api(engine: Engine) -> Api:
    """A venue for fifty people, with one box."""
    api = Api(engine)
    api.make_venue(capacity=50)
    api.make_box()
    return api


@pytest.fixture
def watch(api: Api, receiver: WebhookReceiver) -> AlertWatch:
    return make_watch(api.engine, api.clock, receiver)


def make_watch(engine: Engine, clock: Clock, receiver: WebhookReceiver | None) -> AlertWatch:
    webhook = None if receiver is None else Webhook(url=receiver.url, key=KEY, allow_private=True)
    return AlertWatch(engine, clock=clock, receiver=webhook, silent_minutes=5)


def say_live(api: Api, people: int) -> None:
    told = {
        "box": BOX, "venue": VENUE, "at": format_utc(api.clock.now), "mode": "live",
        "scenes": [{"scene": "floor", "people": people}],
    }  # fmt: skip
    Committer(api.engine, api.clock).commit(deliver(json.dumps(told).encode(), leaf="live"))


def say_status(api: Api, state: str) -> None:
    told = {"box": BOX, "venue": VENUE, "session": "5" * 16, "state": state, "mode": "live"}
    Committer(api.engine, api.clock).commit(deliver(json.dumps(told).encode(), leaf="status"))


def alerts(api: Api, **query: str) -> Any:
    return api.read("/alerts", **query)["alerts"]


def told(receiver: WebhookReceiver) -> list[tuple[str, str]]:
    return [(request.told["type"], request.told["data"]["alert"]) for request in receiver.received]


def pass_time(api: Api, watch: AlertWatch, *, minutes: float, people: int | None = None) -> None:
    """Ten seconds a round; with `people` the box says each time how many there are."""
    for _ in range(round(minutes * 6)):
        api.clock.now += timedelta(seconds=10)
        if people is not None:
            say_live(api, people)
            say_status(api, "online")
        watch.work()


def test_a_venue_that_is_too_full_is_told_once_and_again_when_it_is_well(
    api: Api, watch: AlertWatch, receiver: WebhookReceiver
) -> None:
    pass_time(api, watch, minutes=1, people=50)
    assert alerts(api) == []
    pass_time(api, watch, minutes=1, people=53)
    (alert,) = alerts(api)
    assert (alert["rule"], alert["venue"], alert["box"], alert["state"]) == (
        "capacity-exceeded", VENUE, None, "active",
    )  # fmt: skip
    assert alert["says"] == "53 people are in corner-shop, where 50 may be"
    pass_time(api, watch, minutes=3, people=49)
    assert [one["state"] for one in alerts(api)] == ["active"]
    pass_time(api, watch, minutes=2, people=40)
    (alert,) = alerts(api)
    assert (alert["state"], alert["resolved_by"]) == ("resolved", None)
    assert told(receiver) == [("alert.raised", alert["alert"]), ("alert.resolved", alert["alert"])]
    assert all(request.is_signed for request in receiver.received)
    assert len({request.id for request in receiver.received}) == 2
    pass_time(api, watch, minutes=0.5, people=60)
    assert [one["state"] for one in alerts(api)] == ["active", "resolved"]


def test_a_silent_box_is_told_with_its_name(api: Api, watch: AlertWatch, receiver: WebhookReceiver) -> None:
    pass_time(api, watch, minutes=6, people=1)
    pass_time(api, watch, minutes=4.9)
    assert alerts(api) == []
    pass_time(api, watch, minutes=0.2)
    (alert,) = alerts(api)
    assert (alert["rule"], alert["box"], alert["threshold"]) == ("box-offline", BOX, 300)
    assert alert["says"] == "Box box-1 in corner-shop has not been heard for 5 minutes"
    assert receiver.received[0].told["data"] == alert
    pass_time(api, watch, minutes=3)
    assert alerts(api)[0]["value"] == 480
    pass_time(api, watch, minutes=2, people=1)
    assert [one["state"] for one in alerts(api)] == ["resolved"]


def test_a_box_that_says_good_bye_is_missed_after_a_minute(api: Api, watch: AlertWatch) -> None:
    pass_time(api, watch, minutes=2, people=1)
    say_status(api, "offline")
    pass_time(api, watch, minutes=0.9)
    assert alerts(api) == []
    pass_time(api, watch, minutes=0.2)
    assert [one["rule"] for one in alerts(api)] == ["box-offline"]


def test_a_restart_of_the_box_is_no_alert(api: Api, watch: AlertWatch) -> None:
    pass_time(api, watch, minutes=2, people=1)
    say_status(api, "offline")
    pass_time(api, watch, minutes=0.5)
    pass_time(api, watch, minutes=2, people=1)
    assert alerts(api) == []


def test_after_a_standstill_of_the_cloud_each_box_gets_its_time_to_speak(api: Api, watch: AlertWatch) -> None:
    pass_time(api, watch, minutes=1, people=1)
    api.clock.now += 60 * MINUTE
    pass_time(api, watch, minutes=1)
    pass_time(api, watch, minutes=8, people=1)
    assert alerts(api) == []


def test_a_standstill_neither_ends_nor_repeats_what_was_raised_before(api: Api, watch: AlertWatch) -> None:
    pass_time(api, watch, minutes=6, people=1)
    pass_time(api, watch, minutes=6)
    (before,) = alerts(api)
    api.clock.now += 60 * MINUTE
    pass_time(api, watch, minutes=10)
    (after,) = alerts(api)
    assert (after["alert"], after["state"]) == (before["alert"], "active")


def test_what_a_person_resolved_is_not_raised_again_before_it_has_gone(
    api: Api, watch: AlertWatch, receiver: WebhookReceiver
) -> None:
    pass_time(api, watch, minutes=1, people=60)
    name = alerts(api)[0]["alert"]
    api.write("POST", f"/alerts/{name}/resolve", {"by": "Ada"})
    pass_time(api, watch, minutes=5, people=60)
    assert [(one["alert"], one["state"]) for one in alerts(api)] == [(name, "resolved")]
    pass_time(api, watch, minutes=2, people=10)
    pass_time(api, watch, minutes=1, people=60)
    assert [one["state"] for one in alerts(api)] == ["active", "resolved"]


def test_an_alert_of_a_box_that_was_taken_away_ends(api: Api, watch: AlertWatch) -> None:
    pass_time(api, watch, minutes=6, people=1)
    pass_time(api, watch, minutes=6)
    api.write("DELETE", f"/boxes/{BOX}/venue")
    pass_time(api, watch, minutes=0.2)
    assert [one["state"] for one in alerts(api)] == ["resolved"]


def test_without_a_webhook_alerts_are_kept_and_nothing_waits(api: Api) -> None:
    pass_time(api, make_watch(api.engine, api.clock, None), minutes=1, people=60)
    assert len(alerts(api)) == 1
    assert rows_of(api.engine, WebhookDelivery, box=None) == []


def test_two_processes_raise_and_tell_once(api: Api, receiver: WebhookReceiver) -> None:
    both = [make_watch(api.engine, api.clock, receiver) for _ in range(2)]
    say_live(api, 60)
    start = threading.Barrier(2)

    def work(watch: AlertWatch) -> None:
        start.wait()
        for _ in range(5):
            watch.work()

    threads = [threading.Thread(target=work, args=(watch,)) for watch in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(rows_of(api.engine, Alert, box=None)) == 1
    assert len(receiver.received) == 1
    assert sorted(watch.work() for watch in both) == [False, True]


def test_another_takes_over_when_the_one_that_works_ends(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "ROUND_SECONDS", 0.01)
    first, second = (make_watch(api.engine, api.clock, None) for _ in range(2))
    assert first.work()
    assert not second.work()
    over = threading.Event()
    thread = threading.Thread(target=first.run, args=(over,))
    thread.start()
    over.set()
    thread.join(10)
    assert second.work()


def test_a_message_that_is_not_taken_waits_and_goes_again_under_its_id(
    api: Api, watch: AlertWatch, receiver: WebhookReceiver
) -> None:
    receiver.behaviour.status = 503
    pass_time(api, watch, minutes=5, people=60)
    attempts = len(receiver.received)
    assert 2 <= attempts < 25, "pauses grow"
    (row,) = rows_of(api.engine, WebhookDelivery, box=None)
    assert (row["attempts"], row["trouble"], row["delivered_ms"]) == (attempts, "it answered 503", None)
    receiver.behaviour.status = 204
    api.clock.now += 61 * MINUTE
    pass_time(api, watch, minutes=0.2, people=60)
    assert len(receiver.received) == attempts + 1
    assert len({request.id for request in receiver.received}) == 1
    assert len({request.body for request in receiver.received}) == 1
    pass_time(api, watch, minutes=5, people=60)
    assert len(receiver.received) == attempts + 1


def test_a_message_that_nobody_takes_for_days_is_given_up(
    api: Api, watch: AlertWatch, receiver: WebhookReceiver
) -> None:
    receiver.behaviour.status = 500
    pass_time(api, watch, minutes=0.2, people=60)
    for _ in range(14):
        api.clock.now += timedelta(hours=6)
        watch.work()
    raised = rows_of(api.engine, WebhookDelivery, box=None)[0]
    assert raised["given_up_ms"] - raised["created_ms"] >= GIVE_UP_MS
    attempts = raised["attempts"]
    api.clock.now += timedelta(days=1)
    watch.work()
    assert rows_of(api.engine, WebhookDelivery, box=None)[0]["attempts"] == attempts


KILLED_BEFORE_IT_NOTES = """
import os, signal, sys
from datetime import datetime
from cloud.alerts import delivery
from cloud.alerts.watch import AlertWatch
from cloud.alerts.webhook import Webhook
from cloud.store.engine import open_engine

delivery._note = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
now = datetime.fromisoformat(sys.argv[3])
webhook = Webhook(url=sys.argv[2], key=bytes(range(32)), allow_private=True)
AlertWatch(open_engine(sys.argv[1]), clock=lambda: now, receiver=webhook, silent_minutes=5).work()
"""


def test_killed_after_sending_it_sends_again_under_the_same_id(
    api: Api, receiver: WebhookReceiver, watch: AlertWatch
) -> None:
    say_live(api, 60)
    url = api.engine.url.render_as_string(hide_password=False)
    arguments = [sys.executable, "-c", KILLED_BEFORE_IT_NOTES, url, receiver.url, api.clock.now.isoformat()]
    ended = subprocess.run(arguments, env={**os.environ}, cwd=Path.cwd(), check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert len(receiver.received) == 1
    api.clock.now += 2 * MINUTE
    assert watch.work()
    assert len(receiver.received) == 2
    assert len({(request.id, request.body) for request in receiver.received}) == 1
    assert len(rows_of(api.engine, Alert, box=None)) == 1
