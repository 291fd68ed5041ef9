import pytest

from edge.camera.health import TRANSITIONS, Health, HealthState, Note, Signal
from edge.camera.trouble import Trouble

Told = tuple[Signal, Trouble | Note]
PLAYING: Told = (Signal.FRAME, Note.PLAYING)
STALLED: Told = (Signal.TROUBLE, Trouble.STALLED)
UNREACHABLE: Told = (Signal.TROUBLE, Trouble.UNREACHABLE)
RESIZED: Told = (Signal.FRAME, Note.RESOLUTION_CHANGED)
END: Told = (Signal.END, Note.END_OF_VIDEO)


@pytest.mark.parametrize(
    ("told", "reported"),
    [
        ([PLAYING, PLAYING, PLAYING], ["online playing"]),
        ([PLAYING, STALLED, PLAYING], ["online playing", "offline stalled", "online playing"]),
        ([UNREACHABLE] * 3, ["offline unreachable"]),
        ([STALLED, UNREACHABLE, UNREACHABLE], ["offline stalled", "offline unreachable"]),
        ([PLAYING, RESIZED, PLAYING], ["online playing", "online resolution-changed"]),
        ([PLAYING, RESIZED, RESIZED], ["online playing", "online resolution-changed", "online resolution-changed"]),
        ([PLAYING, END], ["online playing", "finished end-of-video"]),
    ],
    ids=[
        "playing is told once",
        "an outage and its end",
        "a dead camera is told once",
        "a new reason is told",
        "a new size keeps it online",
        "each new size is told",
        "a film ends",
    ],
)
def test_what_is_reported(told: list[Told], reported: list[str]) -> None:
    health = Health(camera="door")
    changes = [health.tell(signal, at=float(i), reason=reason) for i, (signal, reason) in enumerate(told)]
    assert [f"{change.state} {change.reason}" for change in changes if change] == reported


def test_the_table_answers_every_signal_until_the_end() -> None:
    for state, row in TRANSITIONS.items():
        assert set(row) == (set() if state is HealthState.FINISHED else set(Signal))
