"""The schema's history, one file a step, run by Alembic through `cloud.store.schema`."""

__all__: list[str] = []
