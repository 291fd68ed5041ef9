"""What Alembic runs around the steps: the connection that `cloud.store.schema` hands over, and one transaction."""

from alembic import context
from sqlmodel import SQLModel

from cloud.store import tables

__all__ = ["tables"]

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    transactional_ddl=False,  # the transaction is the caller's, on both databases
)
context.run_migrations()
