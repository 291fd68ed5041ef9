"""Everything that can go wrong in the cloud, as one small tree.

CloudError
├── SettingsError      a setting is wrong; says which, what was found, what is allowed
├── StoreError         the database cannot be opened, is too old or too new, or has no room
├── BackupError        an archive cannot be made, found, read or restored; says which, and why
├── NotFound           no such venue, box, camera or plan
├── Conflict           it exists already, or its state forbids this
├── Invalid            what was sent breaks a rule; says what would be right
├── TooOften           somebody asked for it more often than is sensible; says when it may be asked for again
├── Busy               as much of it runs already as may; it can be tried again soon
├── Damaged            a row that the database keeps cannot be read; says which
└── PartlyDone         a job of the upkeep did all but what it names
"""

from datetime import timedelta

__all__ = [
    "BackupError",
    "Busy",
    "CloudError",
    "Conflict",
    "Damaged",
    "Invalid",
    "NotFound",
    "PartlyDone",
    "SettingsError",
    "StoreError",
    "TooOften",
]


class CloudError(Exception):
    """Something in the cloud went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").splitlines()[0])


class SettingsError(CloudError):
    """The settings have mistakes."""


class StoreError(CloudError):
    """The database cannot be used."""


class BackupError(CloudError):
    """The back-up cannot be made or used."""


class NotFound(CloudError):
    """There is no such thing."""


class Conflict(CloudError):
    """It conflicts with what is there."""


class Invalid(CloudError):
    """What was sent breaks a rule."""


class Busy(CloudError):
    """As much of this is under way as may be; try again soon."""


class TooOften(CloudError):
    """This was asked for too often; `wait` is for how long it is refused."""

    def __init__(self, message: str, *, wait: timedelta) -> None:
        super().__init__(message)
        self.wait = wait


class Damaged(CloudError):
    """A row that is kept cannot be read."""


class PartlyDone(CloudError):
    """A job could not do all of it."""
