"""UTC moments as the whole milliseconds since 1970 that the tables keep, and back."""

from datetime import UTC, datetime, timedelta

__all__ = ["from_ms", "to_ms", "utc_now"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def to_ms(moment: datetime) -> int:
    """Whole milliseconds since 1970, rounded down."""
    return (moment - _EPOCH) // _MILLISECOND


def from_ms(moment_ms: int) -> datetime:
    """The aware UTC moment."""
    return _EPOCH + moment_ms * _MILLISECOND


def utc_now() -> datetime:
    """Now, for the composition roots that hand a clock to the rest."""
    return datetime.now(UTC)
