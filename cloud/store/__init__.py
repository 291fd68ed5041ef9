"""The database: tables, engine and migrations, the same on SQLite and PostgreSQL.

Read `tables` first, then `metrics` (what the roll-ups sum), `engine` (opening, transactions, errors as people read
them), `schema` (migrating and checking) and `upsert` (the additive writes of the ingest).
"""

__all__: list[str] = []
