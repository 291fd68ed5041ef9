import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from cloud.errors import StoreError
from cloud.store.engine import open_engine, writing
from cloud.store.tables import DeadLetter
from cloud.store.upsert import append_rows
from tests.support.envelopes import rows_of

NAMED = {"id": "box-1:1", "box": "box-1", "epoch": "a" * 16, "seq": 2**53 - 1}
LETTER = {**NAMED, "sha256": "d" * 64, "reason": "seq", "received_ms": 1, "body": "{}"}
NAMELESS = {**LETTER, "id": "box-1:2", "epoch": None, "seq": None}
ODD = {**LETTER, "id": "box-1:3", "reason": "", "body": "a\ttab,\na line, a \\. and \\N, \r, 'quotes\", é and 😀"}


def test_what_is_appended_is_there_to_the_letter(engine: Engine) -> None:
    with writing(engine) as connection:
        append_rows(connection, DeadLetter, [LETTER, NAMELESS, ODD])
    assert rows_of(engine, DeadLetter) == [LETTER, NAMELESS, ODD]


def test_a_key_that_is_there_already_is_an_error_of_the_data_and_undoes_all(engine: Engine) -> None:
    with writing(engine) as connection:
        append_rows(connection, DeadLetter, [LETTER])
    with pytest.raises((IntegrityError, psycopg.errors.UniqueViolation)), writing(engine) as connection:
        append_rows(connection, DeadLetter, [NAMELESS, LETTER])
    assert rows_of(engine, DeadLetter) == [LETTER]


def test_a_server_that_hangs_up_is_an_error_of_the_database(migrated_database: str) -> None:
    engine = open_engine(migrated_database)
    with pytest.raises(StoreError, match="connection"):
        _insert_while_hung_up(engine)
    with writing(engine) as connection:
        append_rows(connection, DeadLetter, [{**LETTER, "id": "after"}])
    engine.dispose()


def _insert_while_hung_up(engine: Engine) -> None:
    with writing(engine) as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with writing(engine) as other:
            other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        append_rows(connection, DeadLetter, [LETTER])
