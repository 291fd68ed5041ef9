"""Back-ups of the database, in a folder or a bucket, and the way back: also into the other kind of database.

An archive lists the parts that hold its rows; an incremental one names parts of earlier archives wherever they have
not changed, so that restoring any archive is reading one list. Read `rows` for what a part is, `archive` for the list,
`target` for where both lie, then `dump`, `restore`, `verification`, `succession`, `keeping`, `keys`, `turn` and
`commands`.
"""

__all__: list[str] = []
