from pathlib import Path

import pytest

from edge.camera import Sampler, SourceTrouble, Trouble, UsbSource


def opened(device: str) -> UsbSource:
    return UsbSource(camera="till", device=device, clock=lambda: 0.0, sampler=Sampler(), size=(640, 480), rate=10)


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(SourceTrouble) as caught:
        next(iter(opened("/dev/video-none").frames()))
    assert caught.value.reason is Trouble.UNREACHABLE
    assert all(part in str(caught.value) for part in ("till", "/dev/video-none", "plugged in"))


def test_a_file_that_is_no_device_is_named(tmp_path: Path) -> None:
    path = tmp_path / "video0"
    path.write_bytes(b"no device")
    with pytest.raises(SourceTrouble) as caught:
        next(iter(opened(str(path)).frames()))
    assert caught.value.reason is Trouble.UNSUPPORTED
    assert "check that it is a camera" in str(caught.value)
