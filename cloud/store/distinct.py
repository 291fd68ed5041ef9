"""The distinct values of a key's column, found by skipping through the key's index instead of reading all of it."""

from collections.abc import Iterator

from sqlalchemy import Connection, func, select
from sqlmodel import SQLModel

from cloud.store.upsert import table_of

__all__ = ["distinct_values"]


def distinct_values(
    connection: Connection, model: type[SQLModel], column: str, **fixed: str | int
) -> Iterator[str | int]:
    """Values in ascending order, nulls left out; `fixed` are the columns that stand before it in the key or index."""
    table = table_of(model)
    wanted = table.c[column]
    conditions = [table.c[name] == value for name, value in fixed.items()]
    value = connection.execute(select(func.min(wanted)).where(*conditions)).scalar_one()
    while value is not None:
        yield value
        value = connection.execute(select(func.min(wanted)).where(*conditions, wanted > value)).scalar_one()
