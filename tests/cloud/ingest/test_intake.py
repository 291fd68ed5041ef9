import json

import pytest

from cloud.ingest.intake import Delivery, EnvelopeDelivery, Foreign, LiveDelivery, Refused, StatusDelivery, intake
from tests.support.envelopes import BOX, VENUE, JsonObject, envelope, topic, visit

STATUS: JsonObject = {"box": BOX, "venue": VENUE, "session": "5" * 16, "state": "online", "mode": "live"}
LIVE: JsonObject = {"box": BOX, "venue": VENUE, "at": "2026-11-20T12:00:00Z", "mode": "live", "scenes": []}


@pytest.mark.parametrize(
    ("name", "payload", "kind"),
    [
        pytest.param(topic("events"), envelope([visit(1)]), EnvelopeDelivery, id="events"),
        pytest.param(topic("tiles"), envelope([]), EnvelopeDelivery, id="tiles"),
        pytest.param(topic("events"), b"{", Refused, id="broken envelope"),
        pytest.param(topic("status"), json.dumps(STATUS).encode(), StatusDelivery, id="status"),
        pytest.param(topic("status"), b"{}", Refused, id="broken status"),
        pytest.param(topic("status"), b"[" * 60_000, Refused, id="nested without end"),
        pytest.param(topic("status", box="box-2"), json.dumps(STATUS).encode(), Refused, id="another's status"),
        pytest.param(topic("live"), json.dumps(LIVE).encode(), LiveDelivery, id="live"),
        pytest.param(topic("live"), b"{}", Foreign, id="broken live"),
        pytest.param(topic("live", box="box-2"), json.dumps(LIVE).encode(), Foreign, id="another's live"),
        pytest.param(topic("status"), b"", Foreign, id="retained message cleared"),
        pytest.param(topic("reply"), b"{}", Foreign, id="nothing asked"),
        pytest.param("weather/today", b"{}", Foreign, id="another's topic"),
        pytest.param(f"footfall/v1/{VENUE}/{BOX}/down/ack", b"{}", Foreign, id="our own ack"),
    ],
)
def test_what_a_message_is_read_as(name: str, payload: bytes, kind: type[Delivery]) -> None:
    assert isinstance(intake(name, payload), kind)


def test_only_envelopes_are_answered_when_refused() -> None:
    refusals = [intake(topic(leaf), b"{") for leaf in ("events", "status")]
    assert [one.answered for one in refusals if isinstance(one, Refused)] == [True, False]


def test_an_oversized_payload_keeps_only_its_beginning() -> None:
    refused = intake(topic(), b"x" * 1_000_000)
    assert isinstance(refused, Refused)
    assert len(refused.body) == 4096
    assert "1000000 bytes" in refused.reason


def test_what_is_kept_of_a_refused_payload_can_be_stored() -> None:
    refused = intake(topic(), b"\x00\xed\xa0\x80\xff")
    assert isinstance(refused, Refused)
    assert "\0" not in refused.body
    assert refused.body.encode()
