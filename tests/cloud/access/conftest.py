"""A transaction on the cloud's database, and a hasher that takes no time."""

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine
from sqlmodel import Session

from cloud.access.passwords import Passwords
from cloud.store.engine import writing


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    """One transaction for a whole test."""
    with writing(engine) as connection, Session(connection) as found:
        yield found


@pytest.fixture
def passwords() -> Passwords:
    """With the least work that Argon2 knows."""
    return Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
