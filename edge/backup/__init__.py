"""A box in one file: its configuration and a consistent copy of its exchange, and the way back.

Read `exchange` for how the copy is made and put back, `archive` for the file, then `commands`.
"""

__all__: list[str] = []
