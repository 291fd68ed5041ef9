"""Every forbidden word is tried, on a real mosquitto with the product's own configuration and real certificates.

A subscription is granted by mosquitto 2.0 whatever it is for, so what counts is that nothing arrives: the message that
must not is sent, and after it one that must.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion
from pydantic import ValidationError

from cloud.devices.authority import open_authority
from cloud.devices.mosquitto import MAX_PACKET_BYTES, access_list
from cloud.settings import BrokerSettings
from protocol.topics import Direction, Leaf, Topic, direction_of
from tests.support.certified_broker import CertifiedBroker, Client

pytestmark = pytest.mark.needs_mosquitto

VENUE, OTHER_VENUE = "corner-shop", "station-shop"
BOX, OTHER_BOX = "box-1", "box-2"
WORKER, SECOND_WORKER = "cloud.main", "cloud.second"
DENIED, GRANTED = "Not authorized", {"Success", "No matching subscribers"}
VENUES = [VENUE, OTHER_VENUE]
DOWN = [leaf for leaf in Leaf if direction_of(leaf) is Direction.DOWN]
EVERY_TOPIC = [
    str(Topic(venue=venue, box=box, leaf=leaf)) for venue in VENUES for box in (BOX, OTHER_BOX) for leaf in Leaf
]
STRANGE = [
    "footfall",
    "footfall/v1",
    "anything",
    "$SYS/broker/version",
    "$CONTROL/dynamic-security/v1",
    f"{BOX}/up/events",
    f"footfall/v2/{VENUE}/{BOX}/up/events",
    f"footfall/v1/{VENUE}/more/{BOX}/up/events",
    f"footfall/v1/{VENUE}/{BOX}/up",
    f"footfall/v1/{VENUE}/{BOX}/up/anything",
    f"footfall/v1/{VENUE}/{BOX}/up/events/1",
    f"footfall/v1/{VENUE}/{BOX}/up/" + "/".join("deep"),
    f"footfall/v1/{VENUE}/{BOX}/down/anything",
]
WILDCARDS = [
    "#",
    "+/#",
    "footfall/#",
    "footfall/v1/#",
    f"footfall/v1/{VENUE}/#",
    "footfall/v1/+/+/up/#",
    "footfall/v1/+/+/down/#",
    "footfall/v1/+/+/+/+",
    f"footfall/v1/+/{OTHER_BOX}/#",
    f"footfall/v1/+/{OTHER_BOX}/down/+",
    "$SYS/#",
    "$SYS/broker/version",
    "$share/any/#",
    "$share/any/footfall/v1/+/+/down/#",
    f"$share/any/footfall/v1/{VENUE}/{OTHER_BOX}/down/+",
]


def topic(leaf: Leaf, *, box: str = BOX, venue: str = VENUE) -> str:
    return str(Topic(venue=venue, box=box, leaf=leaf))


def worker_of(broker: CertifiedBroker) -> Client:
    """Another worker than the one that all tests share."""
    return Client(broker, broker.credentials(SECOND_WORKER))


@pytest.fixture(scope="module")
def broker() -> Iterator[CertifiedBroker]:
    with CertifiedBroker(workers=(WORKER, SECOND_WORKER)) as running:
        yield running


@pytest.fixture(scope="module")
def ends(broker: CertifiedBroker) -> Iterator[tuple[Client, Client, Client]]:
    """A box, another one, and the cloud's worker."""
    with ExitStack() as stack:
        box, other, worker = (
            stack.enter_context(Client(broker, broker.credentials(name))) for name in (BOX, OTHER_BOX, WORKER)
        )
        yield box, other, worker


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("box", [BOX, OTHER_BOX])
@pytest.mark.parametrize("leaf", Leaf)
def test_a_box_publishes_its_own_up_and_nothing_else(
    ends: tuple[Client, Client, Client], leaf: Leaf, box: str, venue: str
) -> None:
    """The venue only routes: which box speaks is what the certificate says."""
    answer = ends[0].publish(topic(leaf, box=box, venue=venue))
    is_allowed = box == BOX and direction_of(leaf) is Direction.UP
    assert (answer in GRANTED) if is_allowed else answer == DENIED


@pytest.mark.parametrize("leaf", Leaf)
def test_the_worker_publishes_every_down_and_no_up(ends: tuple[Client, Client, Client], leaf: Leaf) -> None:
    answer = ends[2].publish(topic(leaf))
    assert (answer in GRANTED) if direction_of(leaf) is Direction.DOWN else answer == DENIED


@pytest.mark.parametrize("strange", STRANGE)
@pytest.mark.parametrize("retain", [False, True], ids=["passing", "retained"])
def test_nobody_publishes_elsewhere(ends: tuple[Client, Client, Client], strange: str, retain: bool) -> None:
    answers = [client.publish(strange, retain=retain) for client in ends]
    is_some_down = "/down/" in strange
    assert answers[:2] == [DENIED] * 2
    assert (answers[2] in GRANTED) if is_some_down else answers[2] == DENIED


@pytest.mark.parametrize(
    "name",
    [
        topic(Leaf.ACK),
        topic(Leaf.EVENTS, box="box-11"),
        topic(Leaf.CONFIG, box="box-11"),
        f"footfall/v1/{VENUE}/{BOX}/up/anything",
        f"footfall/v1/{VENUE}/{BOX}/up/status/deep",
        "$SYS/broker/version",
    ],
)
def test_what_a_box_may_not_write_does_not_stay_there_as_a_retained_message(
    broker: CertifiedBroker, ends: tuple[Client, Client, Client], name: str
) -> None:
    with worker_of(broker) as worker:
        assert ends[0].publish(name, b"forbidden", retain=True) == DENIED
        worker.subscribe("footfall/v1/+/+/up/#")
        ends[0].publish(topic(Leaf.LIVE, venue="retained"))
        assert name not in worker.take_until(topic(Leaf.LIVE, venue="retained"))
    with Client(broker, broker.credentials("box-11")) as other:
        other.subscribe("footfall/v1/+/box-11/down/#")
        ends[2].publish(topic(Leaf.ACK, box="box-11", venue="retained"))
        assert name not in other.take_until(topic(Leaf.ACK, box="box-11", venue="retained"))


@pytest.mark.parametrize("pattern", [*WILDCARDS, *EVERY_TOPIC])
@pytest.mark.parametrize("retain", [False, True], ids=["passing", "retained"])
def test_a_box_hears_its_own_down_alone_whatever_it_asks_for(
    broker: CertifiedBroker, ends: tuple[Client, Client, Client], pattern: str, retain: bool
) -> None:
    def everybody_speaks() -> None:
        for name in EVERY_TOPIC:
            writer = ends[2] if "/down/" in name else ends[0] if f"/{BOX}/" in name else ends[1]
            assert writer.publish(name, retain=retain) in GRANTED

    if retain:
        everybody_speaks()
    with Client(broker, broker.credentials("box-3")) as listener:
        assert listener.subscribe(pattern).startswith("Granted"), "else this proves less than it seems to"
        listener.subscribe("footfall/v1/+/box-3/down/+")
        if not retain:
            everybody_speaks()
        ends[2].publish(topic(Leaf.ACK, box="box-3"))
        assert listener.take_until(topic(Leaf.ACK, box="box-3")) == []


def test_a_box_hears_its_own_down_in_whatever_venue(
    broker: CertifiedBroker, ends: tuple[Client, Client, Client]
) -> None:
    with Client(broker, broker.credentials("box-4")) as box:
        for venue in VENUES:
            box.subscribe(f"footfall/v1/{venue}/box-4/down/+")
        sent = [topic(leaf, box="box-4", venue=venue) for venue in VENUES for leaf in DOWN]
        for name in sent:
            ends[2].publish(name)
        assert [box.take()[0] for _ in sent] == sent


def test_the_worker_hears_every_up_and_no_down(broker: CertifiedBroker, ends: tuple[Client, Client, Client]) -> None:
    box, other, worker = ends
    worker.subscribe("#")
    worker.publish(topic(Leaf.ACK))
    for client, name in ((box, BOX), (other, OTHER_BOX)):
        client.publish(topic(Leaf.EVENTS, box=name))
    heard = worker.take_until(topic(Leaf.EVENTS, box=OTHER_BOX))
    assert topic(Leaf.EVENTS) in heard
    assert not [name for name in heard if "/down/" in name]


def test_a_will_speaks_for_its_own_box_alone(broker: CertifiedBroker, ends: tuple[Client, Client, Client]) -> None:
    """Mosquitto 2.0 takes any will, and looks at what it may when the time has come."""
    with (
        Client(broker, broker.credentials(SECOND_WORKER)) as worker,
        Client(broker, broker.credentials("box-4")) as other,
    ):
        other.subscribe("footfall/v1/+/box-4/down/+")
        worker.subscribe("footfall/v1/will/+/up/+")
        mine, its = topic(Leaf.STATUS, box="box-5", venue="will"), topic(Leaf.ACK, box="box-4")
        wills = [topic(Leaf.STATUS, venue="will"), its, mine]
        for will in wills:
            box = Client(broker, broker.credentials("box-5"), will=will)
            assert box.connect() == "Success"
            box.cut()
        assert worker.take_until(mine) == []
        worker.publish(topic(Leaf.CONFIG, box="box-4"))
        assert other.take_until(topic(Leaf.CONFIG, box="box-4")) == []


@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
def test_a_client_id_of_another_throws_nobody_out_and_brings_nothing_that_waits_for_it(
    broker: CertifiedBroker, version: MQTTProtocolVersion
) -> None:
    victim = Client(broker, broker.credentials("box-6"), client_id="box-6", version=version)
    thief = Client(broker, broker.credentials("box-7"), client_id="box-6", version=version, keeps_session=True)
    with victim, worker_of(broker) as worker:
        victim.subscribe("footfall/v1/+/box-6/down/+")
        with thief:
            worker.publish(topic(Leaf.ACK, box="box-6"))
            assert victim.take()[0] == topic(Leaf.ACK, box="box-6")
            assert thief.arrived.empty()


def test_only_a_valid_certificate_of_the_authority_gets_in(broker: CertifiedBroker, tmp_path: Path) -> None:
    stranger = open_authority(tmp_path, now=datetime.now(UTC))
    for credentials in (
        None,
        broker.credentials(BOX, authority=stranger),
        broker.credentials(BOX, ended=True),
    ):
        assert Client(broker, credentials).connect() != "Success"
    assert "peer did not return a certificate" in broker.log
    assert "certificate verify failed" in broker.log


def test_a_password_is_no_certificate_and_plain_mqtt_gets_no_word(broker: CertifiedBroker) -> None:
    with socket.create_connection(("127.0.0.1", broker.port), timeout=10) as plain:
        plain.sendall(b"\x10\x10\x00\x04MQTT\x04\xc2\x00\x3c\x00\x01a\x00\x01a")
        try:
            answer = plain.recv(1)
        except ConnectionResetError:
            answer = b""
    assert answer != b"\x20", "the first byte of a CONNACK"


def test_a_message_over_the_limit_ends_the_connection(broker: CertifiedBroker) -> None:
    with worker_of(broker) as worker, Client(broker, broker.credentials("box-8")) as box:
        worker.subscribe("footfall/v1/large/+/up/+")
        box.send(topic(Leaf.EVENTS, box="box-8", venue="large"), b"x" * (MAX_PACKET_BYTES + 1))
        box.wait_for_end(20)
        with Client(broker, broker.credentials("box-8")) as again:
            again.publish(topic(Leaf.STATUS, box="box-8", venue="large"))
        assert worker.take_until(topic(Leaf.STATUS, box="box-8", venue="large")) == []


@pytest.mark.parametrize("name", ["", "box\ntopic readwrite #", "box 1", "#", "box/+", "x" * 81, WORKER, "Box_A"])
def test_a_name_that_would_be_a_line_of_its_own_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="the name of a box"):
        access_list(workers=(), blocked=(name,))


@pytest.mark.parametrize("name", ["", "cloud.main\ntopic readwrite #", "cloud.", "main", BOX, "cloud." + "x" * 65])
def test_only_a_workers_name_gets_a_workers_rights(name: str) -> None:
    with pytest.raises(ValueError, match=r"cloud\. and that of a worker"):
        access_list(workers=(name,), blocked=())


def test_who_may_join_a_shared_subscription_takes_messages_away_so_its_name_is_no_word(
    broker: CertifiedBroker, ends: tuple[Client, Client, Client]
) -> None:
    """What mosquitto 2.0 does, and why the setting asks for a name that nobody guesses."""
    with (
        Client(broker, broker.credentials(SECOND_WORKER)) as worker,
        Client(broker, broker.credentials("box-9")) as thief,
    ):
        for client in (worker, thief):
            client.subscribe("$share/ingest/footfall/v1/shared/+/up/+")
        for number in range(4):
            ends[1].publish(topic(Leaf.TILES, box=OTHER_BOX, venue="shared"), str(number).encode())
        thief.subscribe("footfall/v1/+/box-9/down/+")
        worker.publish(topic(Leaf.ACK, box="box-9"))
        assert thief.take_until(topic(Leaf.ACK, box="box-9")) == []
        ends[1].publish(topic(Leaf.LIVE, box=OTHER_BOX, venue="shared"))
        ends[1].publish(topic(Leaf.LIVE, box=OTHER_BOX, venue="shared"))
        assert len(worker.take_until(topic(Leaf.LIVE, box=OTHER_BOX, venue="shared"))) == 2, "of four"
    with pytest.raises(ValidationError, match="shared_group"):
        BrokerSettings.model_validate({"shared_group": "ingest"})
