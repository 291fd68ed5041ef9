import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import paho.mqtt.publish
import pytest

from cloud.ingest.commit import Committer
from cloud.store.engine import open_engine
from tests.support.command_line import typed
from tests.support.envelopes import deliver, enrol, envelope, occupancy, topic, visit
from tests.support.mosquitto import Mosquitto
from tests.support.ports import free_port, is_listening
from tests.support.prometheus import scrape
from tests.support.webhook_receiver import SECRET, WebhookReceiver

ROOT = Path(__file__).parents[2]


def _environment(tmp_path: Path, **variables: str) -> dict[str, str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("FOOTFALL_CLOUD_")}
    return outside | {"FOOTFALL_CLOUD_DATA_DIR": str(tmp_path / "data"), "PYTHONUNBUFFERED": "1"} | variables


def _run(tmp_path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "footfall.py", "cloud", *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=_environment(tmp_path, **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _typed(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The same for commands that only do something and say so."""
    return typed("cloud", *arguments, environment=_environment(tmp_path))


@contextmanager
def _serving(tmp_path: Path, *arguments: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    port = free_port()
    variables = {"FOOTFALL_CLOUD_LISTEN__PORT": str(port), **variables}
    command = [sys.executable, "footfall.py", "cloud", "serve", *arguments]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=_environment(tmp_path, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process, httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1") as client:
        try:
            _wait_for(lambda: _answers(client), process=process)
            client.headers["Authorization"] = f"Bearer {(tmp_path / 'data' / 'admin.key').read_text().strip()}"
            yield process, client
        finally:
            process.kill()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def _wait_for(condition: object, *, process: subprocess.Popen[str]) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 30
    while not condition():
        assert process.poll() is None, process.stdout and process.stdout.read()
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_serve_tells_where_everything_is_and_ends_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with _serving(tmp_path, "--no-ingest") as (process, client):
        assert client.get("/venues").json() == {"venues": [], "next": None}
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    api = str(client.base_url).rstrip("/")
    assert f"Pages     {api.removesuffix('/api/v1')}/\n" in output
    assert f"API       {api}, explained at {api}/docs\n" in output
    assert f"Database  sqlite:///{tmp_path}/data/footfall.sqlite" in output
    assert f"Admin key made just now, in {tmp_path}/data/admin.key" in output
    assert re.search(r"\nSet up    http://127\.0\.0\.1:\d+/welcome\?token=[\w-]{43}\n", output)
    assert "not in this process" in output
    assert (tmp_path / "data" / "admin.key").read_text().strip() not in output
    assert "Traceback" not in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_serve_ends_although_a_page_listens(tmp_path: Path, number: signal.Signals) -> None:
    with _serving(tmp_path, "--no-ingest") as (process, client):
        venue = {"venue": "corner-shop", "name": "Corner shop", "timezone": "UTC", "kind": "shop"}
        client.post("/venues", json=venue).raise_for_status()
        with client.stream("GET", "/venues/corner-shop/live") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "event: live"
            process.send_signal(number)
            assert [line for line in lines if line.startswith("event")] == []
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    assert "Traceback" not in output


def test_idle_connections_of_strangers_keep_nobody_out_for_long_and_fill_no_log(tmp_path: Path) -> None:
    """More than the process has descriptors for, of many addresses, and of one more than it may have."""
    with ExitStack() as held:
        with _few_files(160):
            process, client = held.enter_context(_serving(tmp_path, "--no-ingest"))
        base_url = client.base_url
        client.close()

        def crowd(count: int, source: str) -> None:
            for _ in range(count):
                connection = held.enter_context(socket.socket())
                connection.bind((source, 0))
                connection.setblocking(False)
                connection.connect_ex((base_url.host, base_url.port or 0))

        def answers() -> bool:
            with httpx.Client(base_url=base_url) as newcomer:
                return _answers(newcomer)

        crowd(300, "127.0.0.2")
        assert answers(), "one address has its share and no more"
        began = time.monotonic()
        for number in range(3, 13):
            crowd(60, f"127.0.0.{number}")
        _wait_for(answers, process=process)
        assert time.monotonic() - began < 15
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    assert "may open 160 files, so it takes 120 connections" in output
    assert output.count("Connections of 127.0.0.2 are refused") == 1
    assert output.count("Connections are refused: there are 120") == 1
    assert "Too many open files" not in output
    assert len(output.splitlines()) < 30, output


@contextmanager
def _few_files(count: int) -> Iterator[None]:
    """What is started meanwhile may open so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_empty_database_file_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "footfall.sqlite").touch()
    with _serving(tmp_path, "--no-ingest") as (_, client):
        assert client.get("/venues").json() == {"venues": [], "next": None}


def test_serve_takes_in_what_the_broker_brings(tmp_path: Path, mosquitto: Mosquitto) -> None:
    variables = {"FOOTFALL_CLOUD_BROKER__HOST": mosquitto.host, "FOOTFALL_CLOUD_BROKER__PORT": str(mosquitto.port)}
    with _serving(tmp_path, **variables) as (process, client):
        venue = {"venue": "corner-shop", "name": "Corner shop", "timezone": "UTC", "kind": "shop"}
        assert client.post("/venues", json=venue).status_code == 201
        assert client.post("/boxes", json={"box": "box-1", "venue": "corner-shop"}).status_code == 201

        def visits() -> int:
            payload = envelope([visit(1), visit(2)])
            paho.mqtt.publish.single(topic(), payload, qos=1, hostname=mosquitto.host, port=mosquitto.port)
            answer = client.get("/venues/corner-shop/summary", params={"from": "2026-11-20", "to": "2026-11-20"})
            return int(answer.json()["visits"])

        _wait_for(lambda: visits() == 2, process=process)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    assert "Traceback" not in output


def test_serve_tells_a_webhook_and_nobody_else_its_address(tmp_path: Path) -> None:
    with WebhookReceiver() as receiver:
        variables = {
            "FOOTFALL_CLOUD_ALERTS__WEBHOOK_URL": receiver.url,
            "FOOTFALL_CLOUD_ALERTS__WEBHOOK_SECRET": SECRET,
            "FOOTFALL_CLOUD_ALERTS__WEBHOOK_PRIVATE": "true",
        }
        with _serving(tmp_path, "--no-ingest", **variables) as (process, client):
            venue = {"venue": "corner-shop", "name": "Corner shop", "timezone": "UTC", "kind": "shop", "capacity": 3}
            assert client.post("/venues", json=venue).status_code == 201
            box = client.post("/boxes", json={"box": "box-1", "venue": "corner-shop"}).json()
            now = datetime.now(UTC)
            payload = envelope([occupancy(1, at=now - timedelta(minutes=1), inside=4)], sent_at=now)
            client.post("/events", content=payload, headers={"Authorization": f"Bearer {box['key']}"})
            _wait_for(lambda: receiver.received, process=process)
            process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=20)
    assert process.returncode == 0, output
    (request,) = receiver.received
    assert request.is_signed
    assert request.told["data"]["says"] == "4 people are in corner-shop, where 3 may be"
    assert "hunter2" not in output
    assert "Traceback" not in output


def test_serve_and_ingest_answer_prometheus(tmp_path: Path, mosquitto: Mosquitto) -> None:
    port = free_port()
    broker = {"FOOTFALL_CLOUD_BROKER__HOST": mosquitto.host, "FOOTFALL_CLOUD_BROKER__PORT": str(mosquitto.port)}
    with _serving(tmp_path, "--no-ingest") as (process, client):
        assert scrape(f"http://127.0.0.1:{client.base_url.port}/metrics").value("footfall_store_up") == 1
        command = [sys.executable, "footfall.py", "cloud", "ingest"]
        environment = _environment(tmp_path, FOOTFALL_CLOUD_METRICS__PORT=str(port), **broker)
        ingest = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        with ingest:
            try:
                _wait_for(lambda: is_listening(port), process=ingest)

                def refused() -> float:
                    paho.mqtt.publish.single(topic(), b"x", qos=1, hostname=mosquitto.host, port=mosquitto.port)
                    found = scrape(f"http://127.0.0.1:{port}/metrics")
                    assert "footfall_store_up" not in found
                    return found.value("footfall_ingest_envelopes_total", outcome="refused")

                _wait_for(lambda: refused() > 0, process=ingest)
                dead = scrape(f"http://127.0.0.1:{client.base_url.port}/metrics").value("footfall_dead_letters")
                assert dead == 1
                taken = _run(tmp_path, "ingest", FOOTFALL_CLOUD_METRICS__PORT=str(port), **broker)
                assert (taken.returncode, f"metrics: 127.0.0.1 port {port} cannot be listened at" in taken.stderr) == (
                    2,
                    True,
                )
                ingest.send_signal(signal.SIGTERM)
                assert ingest.wait(20) == 0
            finally:
                ingest.kill()
        process.send_signal(signal.SIGINT)
        process.wait(20)


def test_mistakes_in_the_settings_are_told_and_nothing_starts(tmp_path: Path) -> None:
    config = tmp_path / "cloud.toml"
    config.write_text('[listen]\nport = 0\n[broker]\nhots = "x"\n')
    ended = _run(tmp_path, "serve", "--config", str(config))
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "footfall cloud: 2 mistakes in the settings:",
        f"  {config}: broker.hots: no such setting; did you mean host?",
        f"  {config}: listen.port: found 0; allowed: 1 or more",
    ]
    assert not (tmp_path / "data").exists()


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with _serving(tmp_path, "--no-ingest") as (_, client):
        ended = _run(tmp_path, "serve", FOOTFALL_CLOUD_LISTEN__PORT=str(client.base_url.port))
    assert ended.returncode == 2
    assert f"listen: 127.0.0.1 port {client.base_url.port} cannot be listened at: " in ended.stderr


def test_migrate_says_what_there_is_and_admin_key_where_it_lies(tmp_path: Path) -> None:
    for _ in range(2):
        ended = _run(tmp_path, "migrate")
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout == f"sqlite:///{tmp_path}/data/footfall.sqlite has schema 0009.\n"
    assert _typed(tmp_path, "admin-key").stdout == f"The admin key lies in {tmp_path}/data/admin.key.\n"
    assert _typed(tmp_path, "admin-key", "--show").stdout == (tmp_path / "data" / "admin.key").read_text()
    assert json.dumps(sorted(path.name for path in (tmp_path / "data").iterdir())) == '["admin.key", "footfall.sqlite"]'


def test_a_database_that_was_not_migrated_is_not_served(tmp_path: Path, postgres_database: str) -> None:
    ended = _run(tmp_path, "serve", FOOTFALL_CLOUD_DATABASE__URL=postgres_database)
    assert ended.returncode == 1
    assert "is empty: run `footfall cloud migrate`" in ended.stderr


def test_jobs_are_told_of_and_done(tmp_path: Path) -> None:
    assert _typed(tmp_path, "migrate").returncode == 0
    assert _typed(tmp_path, "jobs").stdout.splitlines() == [
        "sums        not yet done",
        "retention   not yet done",
        "compaction  not yet done",
        "vacuum      not yet done",
    ]
    assert _typed(tmp_path, "jobs", "retention", "compaction").stdout.splitlines() == [
        "retention   0 raw rows went",
        "compaction  0 fine tiles went",
    ]
    sums, retention, compaction, vacuum = _typed(tmp_path, "jobs").stdout.splitlines()
    assert re.fullmatch(r"retention   done \d{4}-\d\d-\d\dT[\d:.]+Z, 0 raw rows went", retention)
    assert compaction.endswith("0 fine tiles went")
    assert (sums, vacuum) == ("sums        not yet done", "vacuum      not yet done")
    wrong = _typed(tmp_path, "jobs", "retenton")
    assert wrong.returncode == 2
    assert "jobs: there is no retenton; there are sums, retention, compaction, vacuum" in wrong.stderr


def test_retention_doubts_a_clock_by_which_nothing_would_stay_until_somebody_vouches_for_it(tmp_path: Path) -> None:
    assert _typed(tmp_path, "migrate").returncode == 0
    engine = open_engine(f"sqlite:///{tmp_path}/data/footfall.sqlite")
    enrol(engine)
    then = datetime(2020, 5, 4, tzinfo=UTC)
    Committer(engine, lambda: then).commit(deliver(envelope([visit(1, at=then)])))
    engine.dispose()
    doubted = _typed(tmp_path, "jobs", "retention")
    assert doubted.returncode == 1
    assert "Nothing was deleted: this machine's clock says " in doubted.stderr
    assert "Nothing was deleted" in _typed(tmp_path, "jobs").stdout
    assert _typed(tmp_path, "jobs", "retention", "--clock-is-right").stdout == "retention   1 raw rows went\n"
