"""What uplink has done since it started: written by its loop alone, read by whoever asks."""

from dataclasses import dataclass

__all__ = ["Tally"]


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of envelopes, greetings and declared gaps among them; `connected` is whether there is a connection now."""

    connected: bool = False
    connections: int = 0
    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    rejected_items: int = 0
    set_aside_gaps: int = 0
