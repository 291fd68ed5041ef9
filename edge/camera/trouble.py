"""Why a camera or a video cannot be read, in one list that health, logs and people share.

Knows how FFmpeg's errors read as causes. Refuses to know what is done about it.
"""

import errno
from enum import StrEnum

import av.error

from edge.address import Address
from edge.errors import SourceError

__all__ = ["SourceTrouble", "Trouble", "cause_of"]


class Trouble(StrEnum):
    """What went wrong with a source."""

    UNREACHABLE = "unreachable"
    """Nothing answers there: no such host, port, device or file."""
    WRONG_PASSWORD = "wrong-password"  # noqa: S105 - the name of a cause, not a password
    """It answers, and does not let this user in."""
    NOT_FOUND = "not-found"
    """The camera answers and has no stream under this path."""
    REFUSED = "refused"
    """The camera answers and will not play, for instance because too many are watching."""
    GARBAGE = "garbage"
    """It sends something that is not a picture."""
    STALLED = "stalled"
    """It holds the line and says nothing."""
    ENDED = "ended"
    """It was playing and closed the connection."""
    UNSUPPORTED = "unsupported"
    """It plays something that this box cannot decode, or no video at all."""


ADVICE = {
    Trouble.UNREACHABLE: "check address, port, cable and power",
    Trouble.WRONG_PASSWORD: "check user and password",
    Trouble.NOT_FOUND: "check the stream's path in the camera's manual",
    Trouble.REFUSED: "check how many viewers the camera allows and its log",
    Trouble.GARBAGE: "check that the address is the camera's video stream",
    Trouble.STALLED: "check the network and restart the camera",
    Trouble.ENDED: "check the camera's power and network if this repeats",
    Trouble.UNSUPPORTED: "set the camera to H.264 or H.265",
}

CAUSES_BY_ERRNO = {
    errno.EIO: Trouble.UNREACHABLE,  # what FFmpeg says when a host's name does not resolve
    errno.ENODEV: Trouble.UNREACHABLE,
    errno.ENXIO: Trouble.UNREACHABLE,
    errno.EHOSTUNREACH: Trouble.UNREACHABLE,
    errno.ENETUNREACH: Trouble.UNREACHABLE,
    errno.EBUSY: Trouble.REFUSED,
    errno.ENOTTY: Trouble.UNSUPPORTED,
}


class SourceTrouble(SourceError):
    """The camera cannot be read, and the reason is known. Of its address no more is said than where it is."""

    def __init__(self, *, source: str, address: Address, reason: Trouble, detail: str, advice: str = "") -> None:
        self.source = source
        self.reason = reason
        self.detail = address.masked(detail)
        self.advice = advice or ADVICE[reason]
        super().__init__(f"{source}: {address.place}: {reason}: {self.detail}; {self.advice}")


def cause_of(error: av.error.FFmpegError) -> Trouble:
    """What an error of FFmpeg means for a person with a camera."""
    for kinds, trouble in CAUSES:
        if isinstance(error, kinds):
            return trouble
    return CAUSES_BY_ERRNO.get(error.errno or 0, Trouble.ENDED)


CAUSES: tuple[tuple[tuple[type[av.error.FFmpegError], ...], Trouble], ...] = (
    ((av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError), Trouble.WRONG_PASSWORD),
    ((av.error.HTTPNotFoundError,), Trouble.NOT_FOUND),
    ((av.error.HTTPClientError, av.error.HTTPServerError, av.error.PermissionError), Trouble.REFUSED),
    ((av.error.ConnectionRefusedError, av.error.FileNotFoundError), Trouble.UNREACHABLE),
    ((av.error.ExitError, av.error.TimeoutError), Trouble.STALLED),
    ((av.error.InvalidDataError,), Trouble.GARBAGE),
    ((av.error.LookupError, av.error.PatchWelcomeError), Trouble.UNSUPPORTED),
)
