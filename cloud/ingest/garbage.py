"""Python's collector of garbage, told how the ingest lives: it makes much, keeps it for a batch, and ties no cycles."""

import gc

__all__ = ["collect_seldom"]

_NEW_OBJECTS = 100_000


def collect_seldom() -> None:
    """Have the process look for cycles more seldom than by default.

    Each look walks over the thousands of items of the batch in hand, of which none is garbage: a quarter of all time.
    What is not part of a cycle is freed at once in any case.
    """
    gc.set_threshold(_NEW_OBJECTS)
