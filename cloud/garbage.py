"""Python's collector of garbage, told how the cloud lives: it makes much for one answer, and ties few cycles."""

import gc

__all__ = ["collect_seldom"]

_NEW_OBJECTS = 100_000


def collect_seldom() -> None:
    """Have the process look for cycles more seldom than by default, and not among what it has loaded so far.

    Each look walks over the thousands of things of the answer or batch in hand, of which none is garbage: in the
    ingest that took a quarter of all time. What is not part of a cycle is freed at once in any case.
    """
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)
