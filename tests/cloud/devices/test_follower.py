"""What was revoked loses its connection, its rights and what waited for it, on a real mosquitto."""

import contextlib
import re
import socket
from collections.abc import Iterator

import httpx
import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from cloud.devices.access import BrokerAccess
from cloud.devices.follower import Follower, FollowerTrouble, http_source
from cloud.devices.mosquitto import DOOR
from tests.support.certified_broker import CertifiedBroker, Client, Credentials

pytestmark = pytest.mark.needs_mosquitto

WORKER = "cloud.main"
UP, DOWN = "footfall/v1/corner-shop/box-1/up/events", "footfall/v1/corner-shop/box-1/down/ack"


@pytest.fixture
def broker() -> Iterator[CertifiedBroker]:
    with CertifiedBroker(workers=(WORKER,)) as running:
        yield running


@pytest.fixture
def follower(broker: CertifiedBroker) -> Follower:
    return Follower(broker.folder, ask=broker.tell, pid_file=broker.pid_file)


def revoke(broker: CertifiedBroker, credentials: Credentials, *, box: str = "box-1") -> None:
    broker.access.revoked.append((box, credentials.issued.serial))


def test_a_connected_box_is_thrown_out_and_does_not_come_back(broker: CertifiedBroker, follower: Follower) -> None:
    credentials = broker.credentials("box-1")
    box = Client(broker, credentials)
    with Client(broker, broker.credentials(WORKER)) as worker, Client(broker, broker.credentials("box-2")) as other:
        worker.subscribe("footfall/v1/+/+/up/+")
        assert box.connect() == "Success"
        follower.follow()
        assert box.publish(UP) == "Success"
        assert worker.take() == (UP, b"x")
        revoke(broker, credentials)
        broker.access.blocked = ("box-1",)
        follower.follow()
        box.wait_for_end(20)
        assert Client(broker, credentials).connect() == "lost"
        assert other.publish(UP.replace("box-1", "box-2")) == "Success"
        assert worker.take()[0] == UP.replace("box-1", "box-2"), "and nothing of the first, not even a will"
    assert "certificate verify failed" in broker.log


def test_a_blocked_box_is_silenced_even_while_its_connection_lives(broker: CertifiedBroker, follower: Follower) -> None:
    """The second lock, where the end of the connection comes late."""
    with Client(broker, broker.credentials(WORKER)) as worker, Client(broker, broker.credentials("box-1")) as box:
        worker.subscribe("footfall/v1/+/+/up/+")
        box.subscribe("footfall/v1/+/box-1/down/+")
        worker.publish(DOWN)
        assert box.take()[0] == DOWN
        broker.access.blocked = ("box-1",)
        follower.follow()
        _until_read(broker)
        assert box.publish(UP) == "Not authorized"
        worker.publish(DOWN)
        assert box.publish(UP) == "Not authorized"
        assert box.arrived.empty()
        broker.access.blocked = ()
        follower.follow()
        _until_read(broker)
        assert box.publish(UP) == "Success", "enrolled anew, it speaks again"


def test_what_waits_for_a_box_that_is_away_goes_with_it(broker: CertifiedBroker, follower: Follower) -> None:
    lost, next_one = broker.credentials("box-1"), broker.credentials("box-1")
    with Client(broker, broker.credentials(WORKER)) as worker:
        with Client(broker, lost, version=MQTTProtocolVersion.MQTTv311, keeps_session=True) as box:
            box.subscribe("footfall/v1/+/box-1/down/+")
        worker.publish(DOWN, b"for the lost one")
        revoke(broker, lost)
        follower.follow()
        with Client(broker, next_one, version=MQTTProtocolVersion.MQTTv311, keeps_session=True) as box:
            box.subscribe("footfall/v1/+/box-1/down/+")
            worker.publish(DOWN, b"for the next one")
            assert box.take() == (DOWN, b"for the next one")


def test_an_old_certificate_is_thrown_out_where_the_box_was_enrolled_anew(
    broker: CertifiedBroker, follower: Follower
) -> None:
    """Then its name is not blocked, and its list of revoked certificates is all that tells the two apart."""
    stolen, next_one = broker.credentials("box-1"), broker.credentials("box-1")
    thief = Client(broker, stolen)
    assert thief.connect() == "Success"
    revoke(broker, stolen)
    follower.follow()
    thief.wait_for_end(20)
    assert Client(broker, stolen).connect() == "lost"
    with Client(broker, next_one) as box:
        assert box.publish(UP) in {"Success", "No matching subscribers"}


def test_a_box_that_was_enrolled_anew_and_is_connected_is_left_in_peace(
    broker: CertifiedBroker, follower: Follower
) -> None:
    """The claim goes by the name, which is the new certificate's too."""
    stolen = broker.credentials("box-1")
    thief = Client(broker, stolen)
    assert thief.connect() == "Success"
    revoke(broker, stolen)
    follower.follow()
    thief.wait_for_end(20)
    with Client(broker, broker.credentials("box-1")) as box:
        for _ in range(4):
            follower.follow()
        assert box.publish(UP) in {"Success", "No matching subscribers"}
        assert Client(broker, stolen).connect() == "lost"
        assert box.publish(UP) in {"Success", "No matching subscribers"}


def test_a_user_is_claimed_once_however_many_certificates_are_void(broker: CertifiedBroker, follower: Follower) -> None:
    for _ in range(5):
        revoke(broker, broker.credentials("box-1"))
    revoke(broker, broker.credentials("box-2"), box="box-2")
    follower.follow()
    for box in ("box-1", "box-2"):
        assert len(re.findall(rf"New client connected .* as {box} ", broker.log)) == 1
    assert len((broker.folder / "ended").read_text().split()) == 6


def test_every_list_is_believed_however_fast_they_follow_each_other(
    broker: CertifiedBroker, follower: Follower
) -> None:
    made = [broker.credentials("box-1") for _ in range(4)]
    for credentials in made[:3]:
        revoke(broker, credentials)
        follower.follow()
    assert [Client(broker, credentials).connect() for credentials in made] == ["lost"] * 3 + ["Success"]


def test_nothing_is_written_or_read_anew_while_nothing_changes(broker: CertifiedBroker, follower: Follower) -> None:
    follower.follow()
    _until_read(broker)
    before = {path: path.stat().st_mtime_ns for path in broker.folder.iterdir()}
    reloads = broker.log.count("Reloading config")
    for _ in range(3):
        follower.follow()
    with Client(broker, broker.credentials("box-1")):
        assert broker.log.count("Reloading config") == reloads
    assert {path: path.stat().st_mtime_ns for path in broker.folder.iterdir()} == before


def test_a_follower_that_starts_anew_disturbs_nobody_who_was_enrolled_anew(
    broker: CertifiedBroker, follower: Follower
) -> None:
    revoke(broker, broker.credentials("box-1"))
    for _ in range(3):
        follower.follow()
    with Client(broker, broker.credentials("box-1")) as box:
        Follower(broker.folder, ask=broker.tell, pid_file=broker.pid_file).follow()
        assert box.publish(UP) in {"Success", "No matching subscribers"}
        assert broker.log.count("already connected") == 0


def test_a_broker_that_does_not_run_reads_the_files_when_it_starts(broker: CertifiedBroker, follower: Follower) -> None:
    credentials = broker.credentials("box-1")
    broker.kill()
    revoke(broker, credentials)
    follower.follow()
    broker.start()
    assert Client(broker, credentials).connect() == "lost"
    follower.follow()
    assert "Reloading config" in broker.log, "it may have been starting when the files changed"


def test_a_cloud_that_cannot_be_asked_changes_nothing_and_is_named(broker: CertifiedBroker) -> None:
    def refuse() -> BrokerAccess:
        with httpx.Client(base_url="http://127.0.0.1:9/api/v1/") as client:
            return http_source(client)()

    before = (broker.folder / "access").read_text()
    with pytest.raises(FollowerTrouble, match=r"127\.0\.0\.1:9.*/broker/access: .*refused"):
        Follower(broker.folder, ask=refuse, pid_file=broker.pid_file).follow()
    assert (broker.folder / "access").read_text() == before


def test_a_name_that_nobody_can_have_is_left_out_and_logged_once_and_all_else_holds(
    broker: CertifiedBroker, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    """One such name, in a database of an older version, once stopped every later revocation."""
    stolen = broker.credentials("box-1")
    revoke(broker, stolen)
    broker.access.workers = (WORKER, "Worker")
    broker.access.blocked = ("Box_A", WORKER, "box-1")
    for _ in range(3):
        follower.follow()
    assert Client(broker, stolen).connect() == "lost"
    listed = (broker.folder / "access").read_text()
    assert "user box-1\ntopic deny #" in listed
    assert f"user {WORKER}\ntopic read" in listed
    assert f"user {WORKER}\ntopic deny" not in listed, "no box shuts a worker out"
    said = [record.getMessage() for record in caplog.records if "no box and no worker" in record.getMessage()]
    assert said == [
        f"The cloud names {name!r}, which is no box and no worker: left out" for name in ("Box_A", "Worker")
    ]


def test_what_is_wrong_with_one_file_keeps_the_other_from_nothing(
    broker: CertifiedBroker, follower: Follower, caplog: pytest.LogCaptureFixture
) -> None:
    stolen = broker.credentials("box-1")
    revoke(broker, stolen)
    (broker.folder / "access.new").mkdir()
    follower.follow()
    assert Client(broker, stolen).connect() == "lost"
    assert f"{broker.folder}/access.new: cannot be written: Is a directory" not in caplog.text, "nothing to write"
    broker.access.blocked = ("box-1",)
    follower.follow()
    assert f"{broker.folder}/access.new: cannot be written: Is a directory" in caplog.text


@pytest.mark.parametrize("name", ["access", "revoked.pem", "ended"])
def test_a_file_that_was_damaged_is_written_anew_and_revoking_goes_on(
    broker: CertifiedBroker, follower: Follower, name: str
) -> None:
    stolen, next_one = broker.credentials("box-1"), broker.credentials("box-2")
    revoke(broker, stolen)
    follower.follow()
    path = broker.folder / name
    sound = path.read_bytes()
    path.write_bytes(sound[:20] + b"\xff" + sound[21:])
    follower.follow()
    revoke(broker, next_one, box="box-2")
    follower.follow()
    assert b"\xff" not in path.read_bytes()
    assert [Client(broker, one).connect() for one in (stolen, next_one)] == ["lost", "lost"]


def test_a_list_of_what_has_ended_that_cannot_be_kept_is_a_sentence(
    broker: CertifiedBroker, follower: Follower
) -> None:
    revoke(broker, broker.credentials("box-1"))
    (broker.folder / "ended.new").mkdir()
    with pytest.raises(FollowerTrouble, match=r"ended: cannot be written: Is a directory"):
        follower.follow()


@pytest.mark.parametrize("topic", ["footfall/v1/corner-shop/box-1/up/events", "$SYS/broker/version", "any"])
def test_nothing_is_sent_or_heard_at_the_door(broker: CertifiedBroker, topic: str) -> None:
    """Whoever may knock there, such as a program of mosquitto's group, is mute and deaf."""
    with Client(broker, broker.credentials(WORKER)) as worker, socket.socket(socket.AF_UNIX) as door:
        worker.subscribe("footfall/v1/+/+/up/+")
        door.connect(str(broker.folder / DOOR))
        door.settimeout(2)
        for packet in knock(topic):
            door.sendall(packet)
        assert worker_hears_only(broker, worker)
        heard = b""
        with contextlib.suppress(TimeoutError):
            while part := door.recv(1024):
                heard += part
        answers = [b"\x20\x02\x00\x00", b"\x90\x03\x00\x01", b"\x40\x02\x00\x02"]
        assert heard.startswith(answers[0])
        assert b"\x30" not in heard, "a message"
        assert len(heard) <= sum(map(len, answers)) + 1


def knock(topic: str) -> list[bytes]:
    """Connect, subscribe to a topic, and publish to it with QoS 1 and to be retained."""
    name = len(topic).to_bytes(2, "big") + topic.encode()
    everything = b"\x00\x01" + name + b"\x01"
    said = name + b"\x00\x02" + b"x"
    return [
        b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04door",
        bytes([0x82, len(everything)]) + everything,
        bytes([0x33, len(said)]) + said,
    ]


def worker_hears_only(broker: CertifiedBroker, worker: Client) -> bool:
    """Whether the next thing that a worker hears is what a box says now."""
    with Client(broker, broker.credentials("box-2")) as other:
        other.publish(UP.replace("box-1", "box-2"))
    return worker.take()[0] == UP.replace("box-1", "box-2")


def _until_read(broker: CertifiedBroker) -> None:
    """Mosquitto reads its files between two turns of its loop, so a connection made now is later than that."""
    with Client(broker, broker.credentials("box-9")):
        return
