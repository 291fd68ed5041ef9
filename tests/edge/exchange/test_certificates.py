import json
from pathlib import Path

from edge.exchange.batch import Batch
from edge.exchange.certificates import KIND
from edge.exchange.outbox import Outbox
from protocol.wire import JsonObject
from tests.support.exchange import ORIGIN, Exchange, configuration, opened, visit
from tests.support.golden import read_golden


def certificate(counted: int = 20) -> JsonObject:
    golden = read_golden("item-camera-certificate")
    body = {key: value for key, value in golden.items() if key not in {"seq", "venue", "config", "at"}}
    return {**body, "in": {"counted": counted, "by_hand": 20, "matched": 20}}


def lay(outbox: Outbox, counted: int) -> None:
    body = json.dumps({"checked": None, "item": certificate(counted)})
    outbox.receive(kind=KIND, name="entrance", body=body)


def test_a_certificate_is_told_once_by_the_next_commit_and_kept(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        writer.commit(Batch(origin=ORIGIN, drafts=[configuration()]))
        lay(outbox, 20)
        assert exchange.bodies("camera-certificate") == []
        writer.commit(Batch(origin=ORIGIN))
        writer.commit(Batch(origin=ORIGIN))
    (told,) = exchange.bodies("camera-certificate")
    assert {**told, **certificate()} == told
    assert (told["venue"], told["config"], told["seq"]) == (ORIGIN.venue, ORIGIN.config, 2)
    with opened(exchange) as writer:
        (kept,) = writer.certificates()
        writer.commit(Batch(origin=ORIGIN))
    assert json.loads(kept)["item"] == certificate()
    assert len(exchange.bodies("camera-certificate")) == 1


def test_a_new_one_of_the_line_takes_its_place_and_is_told_too(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        for counted in (20, 21):
            lay(outbox, counted)
            writer.commit(Batch(origin=ORIGIN))
        assert [json.loads(body)["item"]["in"]["counted"] for body in outbox.certificates()] == [21]
    assert len(exchange.bodies("camera-certificate")) == 2


def test_left_overs_of_another_venue_take_none_with_them(tmp_path: Path) -> None:
    exchange = Exchange(folder=tmp_path)
    with opened(exchange) as writer, exchange.outbox() as outbox:
        lay(outbox, 20)
        writer.commit(Batch(origin=ORIGIN, drafts=[visit()], boot="boot-1"))
        assert exchange.bodies("camera-certificate") == []
