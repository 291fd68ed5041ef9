"""Everything that can go wrong on a box, as one small tree.

    EdgeError
    ├── ConfigurationError   a setting is wrong; says file, key, found, allowed
    ├── SourceError          a camera or video cannot be read
    ├── ModelError           a model file is missing, damaged, unknown or unlicensed
    └── ExchangeError        the exchange file cannot be opened or written
        ├── ExchangeBusy     another process holds the lock for longer than one waits; it is worth trying again
        └── ExchangeFull     the disk or the byte budget has no room

Errors of libraries are translated where they enter, so nothing else needs catching.
"""

__all__ = [
    "ConfigurationError",
    "EdgeError",
    "ExchangeBusy",
    "ExchangeError",
    "ExchangeFull",
    "ModelError",
    "SourceError",
]


class EdgeError(Exception):
    """Something on this box went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])


class ConfigurationError(EdgeError):
    """The configuration has mistakes."""


class SourceError(EdgeError):
    """The camera cannot be read."""


class ModelError(EdgeError):
    """The model cannot be used."""


class ExchangeError(EdgeError):
    """The exchange cannot be used."""


class ExchangeBusy(ExchangeError):
    """Another process holds the exchange."""


class ExchangeFull(ExchangeError):
    """The exchange has no room left."""
