"""The cloud aggregator: takes what the boxes send, keeps it, and answers questions about it.

Read `store.tables` for what is kept, `ingest.intake` and `ingest.commit` for how it gets there, then `analytics`
and `api`. It knows the wire (`protocol`) and nothing of how a box works.
"""

__all__: list[str] = []
