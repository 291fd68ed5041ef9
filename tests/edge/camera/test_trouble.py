import errno

import av.error
import pytest

from edge.address import Address
from edge.camera.trouble import ADVICE, SourceTrouble, Trouble, cause_of


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (av.error.HTTPUnauthorizedError(1, "x"), Trouble.WRONG_PASSWORD),
        (av.error.HTTPForbiddenError(1, "x"), Trouble.WRONG_PASSWORD),
        (av.error.HTTPNotFoundError(1, "x"), Trouble.NOT_FOUND),
        (av.error.HTTPServerError(1, "x"), Trouble.REFUSED),
        (av.error.HTTPBadRequestError(1, "x"), Trouble.REFUSED),
        (av.error.ConnectionRefusedError(errno.ECONNREFUSED, "x"), Trouble.UNREACHABLE),
        (av.error.OSError(errno.EHOSTUNREACH, "x"), Trouble.UNREACHABLE),
        (av.error.ExitError(1, "x"), Trouble.STALLED),
        (av.error.TimeoutError(errno.ETIMEDOUT, "x"), Trouble.STALLED),
        (av.error.InvalidDataError(1, "x"), Trouble.GARBAGE),
        (av.error.DecoderNotFoundError(1, "x"), Trouble.UNSUPPORTED),
        (av.error.ConnectionResetError(errno.ECONNRESET, "x"), Trouble.ENDED),
        (av.error.OSError(errno.EBUSY, "x"), Trouble.REFUSED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_error_has_a_cause(error: av.error.FFmpegError, trouble: Trouble) -> None:
    assert cause_of(error) is trouble


def test_every_trouble_has_advice() -> None:
    assert set(ADVICE) == set(Trouble)


def test_an_error_names_camera_address_cause_and_remedy() -> None:
    trouble = SourceTrouble(
        source="door",
        address=Address(text="rtsp://a:s3cret@10.0.0.7/x"),
        reason=Trouble.NOT_FOUND,
        detail="404 Not Found",
    )
    text = str(trouble)
    assert all(
        part in text for part in ("door", "rtsp://10.0.0.7: ", "not-found", "404 Not Found", "check the stream's path")
    )
    assert "s3cret" not in text
