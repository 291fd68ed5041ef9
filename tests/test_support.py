"""The servers that tests start are real, and fail when told to."""

import os
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.support.mosquitto import Mosquitto
from tests.support.ports import is_listening
from tests.support.postgres import PostgresServer


def test_a_broker_keeps_its_port_over_a_restart(mosquitto: Mosquitto) -> None:
    port = mosquitto.port
    mosquitto.restart()
    assert mosquitto.port == port
    assert is_listening(port)


@pytest.mark.parametrize("end", [Mosquitto.stop, Mosquitto.kill], ids=["stopped", "killed"])
def test_a_broker_that_ended_accepts_nobody(mosquitto: Mosquitto, end: Callable[[Mosquitto], None]) -> None:
    end(mosquitto)
    assert not mosquitto.is_running
    assert not is_listening(mosquitto.port)


@pytest.mark.needs_mosquitto
def test_a_wrong_setting_is_told_with_the_brokers_own_words() -> None:
    broker = Mosquitto(settings={"no_such_setting": 1})
    with pytest.raises(RuntimeError, match="no_such_setting"), broker:
        pass


def test_each_database_is_fresh(postgres_server: PostgresServer) -> None:
    first, second = postgres_server.create_database(), postgres_server.create_database()
    assert first != second
    with psycopg.connect(postgres_server.url_of(first).replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE visit (seconds INTEGER)")
    with psycopg.connect(postgres_server.url_of(second).replace("+psycopg", "")) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'visit'").fetchone()
    assert tables == (0,)


def test_a_database_is_given_by_its_address(postgres_database: str) -> None:
    assert postgres_database.startswith("postgresql+psycopg://")
    with psycopg.connect(postgres_database.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (postgres_database.rsplit("/", 1)[1],)


@pytest.mark.needs_postgres
def test_a_durable_server_keeps_a_commit_over_a_kill() -> None:
    with PostgresServer(durable=True) as server:
        address = server.url_of(server.create_database()).replace("+psycopg", "")
        with psycopg.connect(address) as connection:
            connection.execute("CREATE TABLE visit AS SELECT 42 AS seconds")
        server.kill()
        assert not server.is_running
        server.start()
        with psycopg.connect(address) as connection:
            assert connection.execute("SELECT seconds FROM visit").fetchone() == (42,)


@pytest.mark.skipif(os.geteuid() != 0, reason="says what happens for root")
def test_root_does_not_run_the_database_server(postgres_server: PostgresServer) -> None:
    with psycopg.connect(postgres_server.url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT pg_read_file('postmaster.pid')").fetchone()
    assert row is not None
    assert Path(f"/proc/{int(row[0].splitlines()[0])}").stat().st_uid != 0
