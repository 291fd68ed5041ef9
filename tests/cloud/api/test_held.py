from datetime import timedelta

import pytest

from tests.support.api import Api
from tests.support.envelopes import BOX, NOW, item, visit

FIRST, SECOND = "a" * 16, "b" * 16


def _clone(api: Api, key: str) -> None:
    """The first epoch writes again, an hour after the second took over."""
    api.send(key, visit(1), epoch=FIRST, sent_at=NOW - timedelta(hours=3))
    api.clock.now = NOW + timedelta(minutes=1)
    api.send(key, visit(1), epoch=SECOND, sent_at=NOW - timedelta(hours=2))
    api.clock.now = NOW + timedelta(minutes=2)
    api.send(key, visit(2), visit(3), epoch=FIRST, sent_at=NOW + timedelta(hours=1))


def test_a_clone_is_held_until_a_person_lets_it_in(api: Api, device_key: str) -> None:
    _clone(api, device_key)
    assert api.get("/held").json() == [
        {
            "box": BOX, "epoch": FIRST, "type": "visit", "venue": "corner-shop", "reason": "clone", "items": 2,
            "first_received": "2026-11-20T12:02:00Z", "last_received": "2026-11-20T12:02:00Z",
        }
    ]  # fmt: skip
    assert api.read("/venues/corner-shop/summary")["visits"] == 2
    decided = api.write("POST", "/held/release", {"box": BOX, "reason": "clone", "epoch": FIRST})
    assert decided == {"counted": 2, "discarded": 0}
    assert api.read("/venues/corner-shop/summary")["visits"] == 4
    assert api.get("/held").json() == []


def test_a_discarded_clone_never_counts_and_never_returns(api: Api, device_key: str) -> None:
    _clone(api, device_key)
    decided = api.write("POST", "/held/discard", {"box": BOX, "reason": "clone", "epoch": FIRST})
    assert decided == {"counted": 0, "discarded": 2}
    api.send(device_key, visit(2), visit(3), epoch=FIRST, sent_at=NOW + timedelta(hours=2))
    assert api.get("/held").json() == []
    assert api.read("/venues/corner-shop/summary")["visits"] == 2


def test_types_of_a_later_version_wait_and_may_be_thrown_away(api: Api, device_key: str) -> None:
    newer = {**visit(2), "schema": 2}
    api.send(device_key, item(1, "telepathy", thoughts=3), newer, visit(3, at=NOW + timedelta(hours=2)))
    by_reason = {group["reason"]: group["items"] for group in api.get("/held").json()}
    assert by_reason == {"unknown-type": 1, "newer-schema": 1, "future": 1}
    assert [group["type"] for group in api.get("/held", reason="unknown-type").json()] == ["telepathy"]
    assert api.get("/held", box="box-2").json() == []
    for reason in ("unknown-type", "newer-schema", "future"):
        kept = api.write("POST", "/held/release", {"box": BOX, "reason": reason})
        assert kept == {"counted": 0, "discarded": 0}
    assert api.write("POST", "/held/discard", {"box": BOX, "reason": "unknown-type"})["discarded"] == 1
    api.clock.now = NOW + timedelta(hours=3)
    assert api.write("POST", "/held/release", {"box": BOX, "reason": "future"})["counted"] == 1
    assert api.read("/venues/corner-shop/summary")["visits"] == 1
    assert api.read(f"/boxes/{BOX}")["held"] == {"newer-schema": 1}


@pytest.mark.parametrize("verb", ["release", "discard"])
def test_a_decision_must_say_what_it_means(api: Api, device_key: str, verb: str) -> None:
    def decide(**body: str) -> int:
        return api.request("POST", f"/held/{verb}", json=dict(body)).status_code

    assert decide(box="ghost", reason="future") == 404
    assert decide(box=BOX, reason="clone") == 422
    assert decide(box=BOX, reason="boredom") == 422
    assert decide(box=BOX, reason="clone", epoch="zz") == 422
