"""What this box can decode, as PyAV's FFmpeg says."""

import re
from collections.abc import Set as AbstractSet

import av
from av.codec.codec import Codec, UnknownCodecError

from edge.check.findings import Finding, fail, ok

__all__ = ["CODECS", "check_decoders"]

CODECS = {"h264": "H.264", "hevc": "H.265", "mjpeg": "MJPEG"}
"""What cameras send, by FFmpeg's names."""

_HARDWARE = re.compile(r"(?:h264|hevc)_(\w+)")


def check_decoders(available: AbstractSet[str] = frozenset(av.codecs_available)) -> Finding:
    """Whether what cameras send can be decoded; `available` are FFmpeg's names of what it encodes and decodes."""
    ffmpeg = f"PyAV {av.__version__} with FFmpeg {av.ffmpeg_version_info}"
    lacking = [said for name, said in CODECS.items() if name not in available or not _is_decoder(name)]
    if lacking:
        return fail(
            "decoders",
            f"{ffmpeg} cannot decode {', '.join(lacking)}",
            "install PyAV's own build, which has them all: pip install --force-reinstall --only-binary=:all: av",
        )
    hardware = sorted({match[1] for name in available if (match := _HARDWARE.fullmatch(name)) and _is_decoder(name)})
    said = f"{ffmpeg} decodes {', '.join(CODECS.values())} on the CPU"
    return ok("decoders", f"{said}; of hardware it knows {', '.join(hardware) or 'none'}, and none is used")


def _is_decoder(name: str) -> bool:
    try:
        Codec(name, "r")
    except UnknownCodecError:
        return False
    return True
